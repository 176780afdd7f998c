"""A still is a video of one frame."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from univs.errors import VideoError
from univs.video import open_video

PIXELS = np.random.default_rng(0).integers(0, 255, (45, 61, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "named_wrongly.mp4"])
def test_lossless_stills_give_their_very_pixels(tmp_path: Path, name: str) -> None:
    kind = "WEBP" if name.endswith("webp") else "PNG"
    Image.fromarray(PIXELS).save(tmp_path / name, format=kind, lossless=True)
    with open_video(tmp_path / name) as video:
        (frame,) = video.frames()
        assert np.array_equal(frame.image.permute(1, 2, 0).numpy(), PIXELS)
        assert (video.info.is_still, video.info.num_frames, video.info.frame_rate) == (True, 1, None)
        assert (frame.index, frame.pts) == (0, 0)
        assert list(video.frames(1)) == []


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "no_suffix"])
def test_a_photograph_is_read_whatever_its_name(tmp_path: Path, name: str) -> None:
    smooth = np.linspace(0, 255, 61 * 3).reshape(1, 61, 3).repeat(45, axis=0).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / name, format="JPEG", quality=95)
    with open_video(tmp_path / name) as video:
        (frame,) = video.frames()
    assert np.abs(frame.image.permute(1, 2, 0).numpy().astype(int) - smooth).mean() < 4


def test_a_photograph_is_turned_as_its_camera_was_held(tmp_path: Path) -> None:
    picture = Image.new("RGB", (64, 48), (40, 40, 40))
    picture.paste((250, 250, 250), (0, 0, 16, 12))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    picture.save(tmp_path / "turned.jpg", exif=exif)
    with open_video(tmp_path / "turned.jpg") as video:
        (frame,) = video.frames()
        assert (video.info.width, video.info.height, video.info.rotation) == (48, 64, 90)
    assert frame.image[:, :10, -8:].float().mean() > 200


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_and_mirrored_pictures_come_out_as_they_are_shown(tmp_path: Path, kind: str, orientation: int) -> None:
    corners = np.zeros((32, 48, 3), dtype=np.uint8)
    corners[:16, :24], corners[:16, 24:], corners[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "picture"
    Image.fromarray(corners).save(path, format=kind, exif=exif, lossless=True, quality=95)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB")).astype(int)
    with open_video(path) as video:
        (frame,) = video.frames()
        assert (video.info.height, video.info.width) == shown.shape[:2]
    assert np.abs(frame.image.permute(1, 2, 0).numpy().astype(int) - shown).mean() < 8


def test_a_second_picture_in_a_photograph_is_no_second_frame(tmp_path: Path) -> None:
    file = BytesIO()
    Image.new("RGB", (64, 48), (200, 100, 50)).save(file, format="JPEG")
    (tmp_path / "two.jpg").write_bytes(file.getvalue() * 2)
    with open_video(tmp_path / "two.jpg") as video:
        assert (video.info.num_frames, [frame.index for frame in video.frames()]) == (1, [0])


@pytest.mark.parametrize(
    "start", [b"\xff\xd8\xff\xe0 no picture", b"RIFF\0\0\0\0WEBPVP8 ", b"\x89PNG\r\n\x1a\n cut off"]
)
def test_what_only_begins_like_a_picture_is_refused(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(start)
    with pytest.raises(VideoError):
        open_video(tmp_path / "a.jpg")
