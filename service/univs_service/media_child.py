"""The child process of `media.py`: reads one file under limits, answers on stdout. Imports nothing of the service.

`python -m univs_service.media_child MEMORY_BYTES CPU_S probe PATH MAX_PIXELS` prints MediaInfo as JSON;
`... frames PATH INDEX` prints JPEG files from that frame on. A failure is a JSON list of code and detail on stderr.
"""

import json
import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

REMEDY = "re-encode it (ffmpeg -i FILE -c:v libx264 NEW.mp4) and upload it again"

# Playlists are left out on purpose: they make the reader open other files and hosts.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,ogg,asf,gif,apng,ivf,h264,hevc,m4v,png_pipe"
# Demuxers of stills that must be named (FFmpeg would see a numbered series of files): start, text at byte 8, demuxer.
_STILLS = ((b"\xff\xd8\xff", b"", "jpeg_pipe"), (b"RIFF", b"WEBP", "webp_pipe"))
_EXIF_ORIENTATION = 0x0112
# How pixels that bear this value of the EXIF tag become upright: swapped axes, mirrored in x, mirrored in y.
_EXIF_TURNS = {
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
_JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a video file holds."""

    width: int  # of the displayed frames, rotation applied
    height: int
    num_frames: int  # from the container's packets; the decoder has the last word in damaged files
    frame_rate: str | None  # rational, "30000/1001"
    duration_s: float | None
    rotation: int  # degrees clockwise that are applied: 0, 90, 180 or 270
    is_still: bool = False  # one picture, without a time


class MediaError(Exception):
    """What is wrong with the file: the code of an error of the service, and its detail."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Orientation:
    """How stored pixels become upright: swap the axes, then flip."""

    is_transposed: bool
    flips_x: bool
    flips_y: bool

    @property
    def degrees(self) -> int:
        """Turn clockwise; a mirror image is named like the turn nearest to it."""
        if self.is_transposed:
            return 90 if self.flips_x else 270
        return 180 if self.flips_y else 0

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn [H, W, 3] upright."""
        if self.is_transposed:
            pixels = pixels.transpose(1, 0, 2)
        if self.flips_x:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels[::-1] if self.flips_y else pixels)


def probe(path: Path, max_frame_pixels: int) -> MediaInfo:
    """Count the packets of the video stream and decode its first picture."""
    with _open(path) as container:
        stream = _video_stream(container)
        _check_size(stream.codec_context.width, stream.codec_context.height, max_frame_pixels)
        num_packets = _count_packets(container, stream)
    if num_packets == 0:
        raise MediaError("no_frames", f"expected at least one frame in the video stream, got none; {REMEDY}")
    with _open(path) as container:
        stream = _video_stream(container)
        first = next(_pictures(container, stream), None)
        if first is None:
            raise MediaError("damaged_video", f"expected {num_packets} frames, but not one can be decoded; {REMEDY}")
        _check_size(first.width, first.height, max_frame_pixels)
        is_still = _is_still(container)
        orientation = _orientation_of_still(path) if is_still else orientation_of(first)
        sides = (first.height, first.width) if orientation.is_transposed else (first.width, first.height)
        rate = None if is_still else stream.average_rate or stream.guessed_rate
        return MediaInfo(
            width=sides[0],
            height=sides[1],
            num_frames=1 if is_still else num_packets,  # a photograph may bring a smaller copy of itself
            frame_rate=f"{rate.numerator}/{rate.denominator}" if rate else None,
            duration_s=container.duration / av.time_base if container.duration else None,
            rotation=orientation.degrees,
            is_still=is_still,
        )


def write_frames(path: Path, first_index: int, output: BinaryIO) -> None:
    """Write frames as JPEG files from an index to the end, each after its length in four bytes.

    Decodes from the start, so that frames count exactly as the worker counts them. Stands still while nobody reads.
    """
    index = -1
    for index, (picture, orientation) in enumerate(_displayed(path)):
        if index >= first_index:
            jpeg = _to_jpeg(orientation.apply(to_rgb(picture)))
            output.write(len(jpeg).to_bytes(4, "big") + jpeg)
            output.flush()
    if index < first_index:
        raise MediaError(
            "unknown_frame",
            f"expected a frame from 0 to {index}, got {first_index}; frames count from 0 in the order they are shown",
        )


def pictures(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Give the frames as they are displayed: uint8 [H, W, 3], RGB."""
    for picture, orientation in _displayed(path):
        yield orientation.apply(to_rgb(picture))


def _displayed(path: Path) -> Iterator[tuple[VideoFrame, Orientation]]:
    """Give the frames as they are stored, and how each becomes upright."""
    with _open(path) as container:
        still = _orientation_of_still(path) if _is_still(container) else None
        for picture in _pictures(container, _video_stream(container)):
            yield picture, still or orientation_of(picture)
            if still is not None:
                return


def _to_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def _open(path: Path) -> InputContainer:
    kind = _still_kind(path)
    options = {"format_whitelist": kind or _CONTAINERS, "protocol_whitelist": "file"}
    try:
        # "file:" keeps a name from being read as a protocol.
        return av.open(f"file:{path.absolute()}", format=kind, container_options=options, metadata_errors="ignore")
    except av.FFmpegError as error:
        if _begins_like_a_video(path):
            raise MediaError(
                "damaged_video",
                f"expected a whole video file, but it breaks off or is damaged ({error.strerror}); {REMEDY}",
            ) from error
        raise MediaError(
            "not_a_video",
            f"expected a video file (MP4, MOV, Matroska, WebM, AVI, MPEG, GIF ...) or a picture (PNG, JPEG, WebP), but "
            f"it cannot be opened: {error.strerror}; check that the upload is whole and is the video itself",
        ) from error


def _still_kind(path: Path) -> str | None:
    """Give the demuxer of a still that must be named to be used; None where FFmpeg finds the right one."""
    with path.open("rb") as file:
        start = file.read(12)
    found = (kind for first, second, kind in _STILLS if start.startswith(first) and start[8:].startswith(second))
    return next(found, None)


def _is_still(container: InputContainer) -> bool:
    return container.format.name.endswith("_pipe")


def _orientation_of_still(path: Path) -> Orientation:
    """Read the EXIF tag, of which PyAV tells the turn, but not whether the picture is mirrored."""
    try:
        with Image.open(path) as header:
            tag = header.getexif().get(_EXIF_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        tag = 1  # FFmpeg reads it, and nothing in it says how it was held
    return Orientation(*_EXIF_TURNS.get(tag, (False, False, False)))


def _begins_like_a_video(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(12)
    return start[4:8] == b"ftyp" or start.startswith((b"\x1aE\xdf\xa3", b"OggS", b"FLV")) or start[8:] == b"AVI "


def _video_stream(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    if not container.streams:  # what muxers write when they were given no frame
        raise MediaError(
            "no_frames",
            "expected a video stream, but the container holds none: it was cut off, or written without a frame; "
            + REMEDY,
        )
    raise MediaError(
        "not_a_video",
        f"expected a video stream with a known codec, got {len(container.streams)} streams without one; {REMEDY}",
    )


def _check_size(width: int, height: int, max_frame_pixels: int) -> None:
    if width * height > max_frame_pixels:
        raise MediaError(
            "frame_size",
            f"expected at most {max_frame_pixels} pixels in a frame, got {width} x {height}; scale the video down",
        )


def _count_packets(container: InputContainer, stream: VideoStream) -> int:
    count = 0
    try:
        for packet in container.demux(stream):
            count += packet.size > 0 and not packet.is_discard
    except av.FFmpegError:  # the file breaks off: the packets so far are there
        return count
    return count


def _pictures(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode in display order; what the decoder refuses before the first picture is skipped, after it ends."""
    has_given = False
    try:
        for packet in container.demux(stream):
            try:
                pictures = packet.decode()
            except av.FFmpegError:
                if has_given:
                    return
                continue
            for picture in pictures:
                has_given = True
                yield picture
    except av.FFmpegError:
        return


def to_rgb(picture: VideoFrame, width: int | None = None, height: int | None = None) -> NDArray[np.uint8]:
    """Give a picture as it is stored, [H, W, 3], scaled where a size is given."""
    pixels = picture.to_ndarray(format="rgb24", width=width, height=height)
    assert pixels.dtype == np.uint8, "rgb24 has bytes"
    return pixels.astype(np.uint8, copy=False)


def orientation_of(picture: VideoFrame) -> Orientation:
    """Read the display matrix to the nearest right angle: (x, y) goes to (a x + c y, b x + d y)."""
    try:
        side_data = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:  # beside it lies a kind of data that PyAV does not know, as EXIF in Motion JPEG
        turn = round(-picture.rotation / 90) % 4  # clockwise; a mirror image does not show
        return Orientation(is_transposed=turn in {1, 3}, flips_x=turn in {1, 2}, flips_y=turn in {2, 3})
    if side_data is None:
        return Orientation(is_transposed=False, flips_x=False, flips_y=False)
    a, b, _, c, d = np.frombuffer(cast(bytes, side_data), dtype=np.int32)[:5].tolist()  # a buffer, typed as object
    if abs(b) > abs(a):
        return Orientation(is_transposed=True, flips_x=c < 0, flips_y=b < 0)
    return Orientation(is_transposed=False, flips_x=a < 0, flips_y=d < 0)


def _limit(memory_bytes: int, cpu_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # pipes are no files
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: list[str]) -> int:
    """Run the child: limits, what to do, its arguments."""
    memory_bytes, cpu_s, action, path, number = arguments
    _limit(int(memory_bytes), int(cpu_s))
    av.logging.set_level(None)
    try:
        if action == "probe":
            sys.stdout.write(json.dumps(asdict(probe(Path(path), int(number)))))
        else:
            write_frames(Path(path), int(number), sys.stdout.buffer)
    except MediaError as error:
        sys.stderr.write(json.dumps([error.code, error.detail]) + "\n")
        return 3
    except BrokenPipeError:  # nobody reads any more
        os.close(sys.stdout.fileno())
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
