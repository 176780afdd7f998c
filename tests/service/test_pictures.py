"""A pushed picture is decoded exactly, or refused with the reason; never guessed at, never patched."""

import struct
import zlib
from io import BytesIO
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from univs_service.errors import BadFrameError
from univs_service.messages import PictureEncoding
from univs_service.pictures import decode_picture

WIDTH, HEIGHT = 67, 49
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, size=(HEIGHT, WIDTH, 3), dtype=np.uint8)
PIXELS[10:30, 5:40] = (220, 180, 40)
PICTURE = Image.fromarray(PIXELS)


def write(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def decode(data: bytes, encoding: PictureEncoding) -> Any:
    return decode_picture(data, encoding, WIDTH, HEIGHT)


def transparent(alpha: int) -> Image.Image:
    picture = PICTURE.copy()
    picture.putalpha(255)
    picture.putpixel((3, 4), (10, 20, 30, alpha))
    return picture


def png_of_16_bits() -> bytes:
    rows = b"".join(b"\0" + bytes(6 * WIDTH) for _ in range(HEIGHT))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def turned() -> dict[str, Image.Exif]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif}


LOSSLESS: list[tuple[PictureEncoding, bytes]] = [
    ("png", write(PICTURE, "PNG")),
    ("webp", write(PICTURE, "WEBP", lossless=True)),
]


@pytest.mark.parametrize(("encoding", "data"), LOSSLESS, ids=["png", "webp"])
def test_lossless_files_come_back_bit_by_bit(encoding: PictureEncoding, data: bytes) -> None:
    assert np.array_equal(decode(data, encoding), PIXELS)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_alpha_that_hides_nothing_is_left_out(kind: str) -> None:
    opaque = PICTURE.copy()
    opaque.putalpha(255)
    encoding: PictureEncoding = "png" if kind == "PNG" else "webp"
    assert np.array_equal(decode(write(opaque, kind, lossless=True), encoding), PIXELS)


def test_grey_becomes_rgb() -> None:
    grey = PICTURE.convert("L")
    assert np.array_equal(decode(write(grey, "PNG"), "png"), np.array(grey.convert("RGB")))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100, "subsampling": 0}])
def test_jpeg_is_what_the_decoder_of_files_gives(options: dict[str, Any]) -> None:
    data = write(PICTURE, "JPEG", **options)
    with av.open(BytesIO(data), "r", format="jpeg_pipe") as container:
        expected = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.array_equal(decode(data, "jpeg"), expected)
    assert np.abs(decode(data, "jpeg")[15:25, 15:30].astype(int) - (220, 180, 40)).max() < 40


@pytest.mark.parametrize(
    ("data", "encoding", "words"),
    [
        (b"", "png", "0 bytes"),
        (b"no picture", "png", "PNG"),
        (write(PICTURE, "JPEG"), "png", "PNG"),
        (write(PICTURE, "PNG"), "jpeg", "JPEG"),
        (write(PICTURE.resize((68, 49)), "PNG"), "png", "68 x 49"),
        (write(PICTURE.resize((68, 49)), "WEBP", lossless=True), "webp", "68 x 49"),
        (write(Image.new("1", (12_000, 12_000)), "PNG"), "png", "pixels"),
        (png_of_16_bits(), "png", "8 bits"),
        (write(transparent(254), "PNG"), "png", "transparent"),
        (write(transparent(0), "WEBP", lossless=True, exact=True), "webp", "transparent"),
        (write(PICTURE.convert("P"), "PNG"), "png", "palette"),
        (write(PICTURE.convert("1"), "PNG"), "png", "1 bit"),
        (write(PICTURE.convert("CMYK"), "JPEG"), "jpeg", "stored as"),
        (write(PICTURE, "WEBP", lossless=True, save_all=True, append_images=[PICTURE.rotate(90)]), "webp", "animation"),
        (write(PICTURE, "PNG", save_all=True, append_images=[PICTURE.rotate(90)]), "png", "animation"),
        (write(PICTURE, "JPEG", **turned()), "jpeg", "orientation"),
        (write(PICTURE, "PNG", **turned()), "png", "orientation"),
        (write(PICTURE, "WEBP", lossless=True, **turned()), "webp", "orientation"),
    ],
    ids=[
        "empty", "no picture", "jpeg as png", "png as jpeg", "png size", "webp size", "bomb", "16 bits", "png alpha",
        "webp alpha", "palette", "1 bit", "cmyk", "webp animation", "png animation", "jpeg turned", "png turned",
        "webp turned",
    ],
)  # fmt: skip
def test_what_would_have_to_be_guessed_is_refused(data: bytes, encoding: PictureEncoding, words: str) -> None:
    with pytest.raises(BadFrameError, match=words) as caught:
        decode(data, encoding)
    assert caught.value.detail.startswith("expected")
    assert ";" in caught.value.detail, "says what to do"


@pytest.mark.parametrize(
    ("encoding", "data"),
    [*LOSSLESS, ("jpeg", write(PICTURE, "JPEG")), ("jpeg", write(PICTURE, "JPEG", progressive=True))],
    ids=["png", "webp", "jpeg", "progressive"],
)
def test_a_file_that_breaks_off_is_refused_wherever_it_does(encoding: PictureEncoding, data: bytes) -> None:
    for end in {*range(0, len(data), len(data) // 23), len(data) - 3, len(data) - 1}:
        with pytest.raises(BadFrameError):
            decode(data[:end], encoding)


@settings(deadline=None, max_examples=60)
@given(st.integers(8, len(LOSSLESS[0][1]) - 1), st.integers(1, 255))
def test_no_changed_byte_of_a_png_passes(position: int, change: int) -> None:
    data = bytearray(LOSSLESS[0][1])
    data[position] ^= change
    try:
        pixels = decode(bytes(data), "png")
    except BadFrameError:
        return
    assert np.array_equal(pixels, PIXELS), "only where no pixel depends on it"


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200), st.sampled_from(["png", "webp", "jpeg"]))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes, encoding: PictureEncoding) -> None:
    starts = {"png": LOSSLESS[0][1][:30], "webp": LOSSLESS[1][1][:30], "jpeg": write(PICTURE, "JPEG")[:200]}
    for data in (noise, starts[encoding] + noise):
        with pytest.raises(BadFrameError):
            decode(data, encoding)
