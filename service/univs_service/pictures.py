"""Decode one pushed picture, by the decoders and the colour conversion that frames of a video file go through.

A JPEG pushed on the websocket is therefore the same pixels as that JPEG in an MJPEG file. PNG and lossless WebP lose
nothing in any decoder. What would have to be guessed (transparency, more than 8 bits, animation, an orientation to
turn by) is refused by name instead, and so is a file whose checksums or codes are wrong, which a player would patch.
"""

import struct
from io import BytesIO

import av
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from univs_service.errors import BadFrameError
from univs_service.media_child import to_rgb
from univs_service.messages import PictureEncoding

_DECODERS: dict[PictureEncoding, str] = {"png": "png", "webp": "webp", "jpeg": "mjpeg"}
_FORMATS: dict[PictureEncoding, str] = {"png": "PNG", "webp": "WEBP", "jpeg": "JPEG"}
_STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
_PLAIN = frozenset({"rgb24", "gray", "gbrp", *(f"yuv{j}{kind}p" for j in ("", "j") for kind in (420, 422, 440, 444))})
_WITH_ALPHA = frozenset({"rgba", "argb", "ya8", "yuva420p"})
_JPEG_END = b"\xff\xd9"
_ORIENTATION, _UPRIGHT = 0x0112, 1  # the EXIF tag, and its value for pixels that are as they should be


def decode_picture(data: bytes, encoding: PictureEncoding, width: int, height: int) -> NDArray[np.uint8]:
    """Decode a PNG, WebP or JPEG file.

    Args:
        data: the whole file.
        encoding: which of the three it is said to be.
        width, height: that the picture must have, in pixels; looked up in its header before anything is decoded.
    Returns:
        [height, width, 3] RGB.
    Raises:
        BadFrameError: for a file that is damaged, of another size or kind, or that leaves its colours open.
    """
    _check_header(data, encoding, width, height)
    picture = _decode(data, encoding)
    name = picture.format.name
    if (picture.width, picture.height) != (width, height):  # the header said otherwise
        raise BadFrameError(f"expected {width} x {height} pixels, got {picture.width} x {picture.height}; {_again()}")
    if name in _PLAIN:
        return to_rgb(picture)
    if name in _WITH_ALPHA:
        pixels = picture.to_ndarray(format="rgba", width=width, height=height)
        if pixels[..., 3].min() == 255:
            return np.ascontiguousarray(pixels[..., :3])
        raise BadFrameError(
            "expected an opaque picture, got transparent pixels; lay it over a background, or leave the alpha out"
        )
    raise BadFrameError(f"expected grey or RGB of 8 bits, got {_in_words(name)}; convert it to 8-bit RGB")


def _check_header(data: bytes, encoding: PictureEncoding, width: int, height: int) -> None:
    kind = _FORMATS[encoding]
    try:
        with Image.open(BytesIO(data), formats=(kind,)) as header:
            size, is_animated = header.size, bool(getattr(header, "is_animated", False))
            orientation = header.getexif().get(_ORIENTATION, _UPRIGHT)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadFrameError(f"expected {width} x {height} pixels, got far more; {_again()}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error, UserWarning) as error:
        raise BadFrameError(
            f"expected a {kind} file, got {len(data)} bytes that are none or are damaged; {_again()}"
        ) from error
    if size != (width, height):
        raise BadFrameError(
            f"expected a picture of the session's {width} x {height} pixels, got {size[0]} x {size[1]}; "
            "scale it, or start a session of that size"
        )
    if is_animated:
        raise BadFrameError("expected one picture, got an animation; push its frames one by one")
    if orientation != _UPRIGHT:
        raise BadFrameError(
            f"expected an upright picture, got one that asks to be turned (EXIF orientation {orientation}); "
            "turn the pixels themselves and leave the tag out"
        )
    if encoding == "jpeg" and not data.rstrip(b"\0").endswith(_JPEG_END):
        raise BadFrameError(f"expected a whole JPEG file, got one that breaks off; {_again()}")


def _decode(data: bytes, encoding: PictureEncoding) -> VideoFrame:
    decoder = CodecContext.create(_DECODERS[encoding], "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1
    decoder.options = _STRICT
    try:
        pictures = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    except av.FFmpegError as error:
        raise BadFrameError(
            f"expected a whole {_FORMATS[encoding]} file, got one that is damaged ({error.strerror}); {_again()}"
        ) from error
    if len(pictures) != 1:
        raise BadFrameError(f"expected one picture in the file, got {len(pictures)}; {_again()}")
    return pictures[0]


def _in_words(pixel_format: str) -> str:
    if pixel_format == "pal8":
        return "palette colours"
    if pixel_format.startswith("mono"):
        return "1 bit a pixel"
    if pixel_format.endswith(("le", "be")):
        return f"more than 8 bits a channel ({pixel_format})"
    return f"colours stored as {pixel_format}"


def _again() -> str:
    return "encode the frame again"
