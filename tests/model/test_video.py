import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import numpy.typing as npt
import pytest
import torch
from av.video.stream import VideoStream

from univs.errors import (
    DamagedVideoError,
    InputError,
    NoFramesError,
    NotAVideoError,
    VideoError,
    VideoNotFoundError,
)
from univs.types import Frame
from univs.video import open_video

B_FRAMES = {"g": "20", "bf": "3", "preset": "ultrafast", "x264-params": "b-adapt=0:open-gop=1:scenecut=0"}
WIDTH, HEIGHT = 64, 48


def picture(index: int) -> npt.NDArray[np.uint8]:
    """Draw a moving bar over a bright top-left corner, so that turned pictures differ."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[:12, :16] = 250
    image[20:40, (index * 3) % WIDTH :][:, :6] = (200, 30, 30)
    return image


def write_clip(
    path: Path,
    num_frames: int = 10,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pts: Callable[[int], int] = lambda index: index,
    container_options: dict[str, str] | None = None,
) -> Path:
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=25, options=options or {}))
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for index in range(num_frames):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts, frame.time_base = pts(index), Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write the display matrix a b c d into the track header of an mp4."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def decode(path: Path, start_index: int = 0) -> list[Frame]:
    with open_video(path) as video:
        return list(video.frames(start_index))


def bright_corner(frame: Frame) -> tuple[str, str]:
    _, height, width = frame.image.shape
    gray = frame.image.float().mean(0)
    corners = {
        ("top", "left"): gray[:8, :8],
        ("top", "right"): gray[:8, width - 8 :],
        ("bottom", "left"): gray[height - 8 :, :8],
        ("bottom", "right"): gray[height - 8 :, width - 8 :],
    }
    return max(corners, key=lambda name: float(corners[name].mean()))


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_frames_come_in_display_order_with_exact_pts(tmp_path: Path, name: str) -> None:
    irregular = [0, 1, 3, 4, 9, 10, 11, 20, 21, 30]
    path = write_clip(tmp_path / name, options=B_FRAMES, pts=lambda index: irregular[index])
    frames = decode(path)
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(value, 25) for value in irregular]
    for frame in frames:
        expected = torch.from_numpy(picture(frame.index)).permute(2, 0, 1).float()
        assert frame.image.shape == (3, HEIGHT, WIDTH)
        assert (frame.image.float() - expected).abs().mean() < 12


def test_info_tells_size_count_and_rate(tmp_path: Path) -> None:
    info = open_video(write_clip(tmp_path / "clip.mp4", num_frames=25)).info
    assert (info.width, info.height, info.num_frames, info.rotation) == (WIDTH, HEIGHT, 25, 0)
    assert info.frame_rate == 25
    assert info.duration_s == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("codec", "name", "options"),
    [
        ("libx264", "clip.mp4", B_FRAMES),
        ("libx264", "clip.mkv", B_FRAMES),
        ("libx264", "clip.ts", B_FRAMES),
        (
            "libx265",
            "clip.mp4",
            {"preset": "ultrafast", "x265-params": "keyint=20:log-level=none:pools=none"},
        ),
        ("mpeg4", "clip.avi", {"g": "12"}),
        ("mjpeg", "clip.avi", {}),
    ],
)
def test_any_start_gives_the_same_frames_as_a_decode_from_the_start(
    tmp_path: Path, codec: str, name: str, options: dict[str, str]
) -> None:
    path = write_clip(tmp_path / name, num_frames=200, codec=codec, options=options)
    with open_video(path) as video:
        expected = list(video.frames())
        for start in (0, 1, 63, 64, 65, 99, 127, 139, 140, 141, 198, 199, 200, 500):
            got = list(video.frames(start))
            assert [frame.index for frame in got] == [frame.index for frame in expected[start:]]
            assert [frame.pts for frame in got] == [frame.pts for frame in expected[start:]]
            assert all(torch.equal(a.image, b.image) for a, b in zip(got, expected[start:], strict=True))


def test_known_key_frames_are_taken_over_by_another_process(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", num_frames=200, options=B_FRAMES)
    with open_video(path) as video:
        expected = list(video.frames())
        keyframes = video.keyframes
    assert [keyframe.index for keyframe in keyframes] == [80, 160]
    with open_video(path, keyframes) as video:
        first = next(video.frames(165))
    assert first.index == 165
    assert torch.equal(first.image, expected[165].image)


def test_key_frames_of_another_file_do_no_harm(tmp_path: Path) -> None:
    long = write_clip(tmp_path / "long.mp4", num_frames=200, options=B_FRAMES)
    with open_video(long) as video:
        expected = list(video.frames())
        wrong = tuple(type(keyframe)(keyframe.index, keyframe.pts + 1) for keyframe in video.keyframes)
    with open_video(long, wrong) as video:
        frame = next(video.frames(170))
    assert frame.index == 170
    assert torch.equal(frame.image, expected[170].image)


@pytest.mark.parametrize(
    ("matrix", "degrees", "corner"),
    [
        ((1, 0, 0, 1), 0, ("top", "left")),
        ((0, 1, -1, 0), 90, ("top", "right")),
        ((-1, 0, 0, -1), 180, ("bottom", "right")),
        ((0, -1, 1, 0), 270, ("bottom", "left")),
        ((-1, 0, 0, 1), 0, ("top", "right")),
    ],
)
def test_rotation_of_the_container_is_applied(
    tmp_path: Path, matrix: tuple[int, int, int, int], degrees: int, corner: tuple[str, str]
) -> None:
    path = turn(write_clip(tmp_path / "clip.mp4"), matrix)
    with open_video(path) as video:
        frame = next(video.frames())
    assert video.info.rotation == degrees
    assert frame.image.shape == (3, video.info.height, video.info.width)
    assert (video.info.width, video.info.height) == ((WIDTH, HEIGHT) if degrees % 180 == 0 else (HEIGHT, WIDTH))
    assert bright_corner(frame) == corner


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a video at all",
        bytes(range(256)) * 64,
        b"#EXTM3U\n#EXTINF:1,\nother.ts\n",
        b"ffconcat version 1.0\n",
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"clip\.mp4"):
        open_video(path)


def test_playlist_does_not_open_the_file_it_names(tmp_path: Path) -> None:
    write_clip(tmp_path / "secret.ts")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(NotAVideoError):
        open_video(playlist)


def test_missing_file_and_sound_without_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(VideoNotFoundError):
        open_video(tmp_path / "none.mp4")
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(NotAVideoError, match="video stream"):
        open_video(path)


def test_video_without_pictures_is_named(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    with pytest.raises(NoFramesError):
        open_video(path)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mkv"])
def test_truncated_file_gives_its_good_frames_and_then_tells(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    faststart = {"movflags": "faststart"} if name.endswith("mp4") else {}
    write_clip(path, num_frames=200, codec="mpeg4", container_options=faststart)
    whole = decode(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames: list[Frame] = []
    with open_video(path) as video, pytest.raises(DamagedVideoError) as caught:
        frames.extend(video.frames())
    assert 40 < len(frames) < 160
    assert caught.value.last_good_frame_index == len(frames) - 1
    assert "upload it again" in str(caught.value)
    assert all(torch.equal(a.image, b.image) for a, b in zip(frames[:-1], whole, strict=False))


def test_refused_data_in_the_middle_end_after_the_last_good_frame(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_clip(tmp_path / "clip.mp4", num_frames=60, options=B_FRAMES)
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][30]
        position = packet.pos
    data = bytearray(path.read_bytes())
    assert position is not None
    data[position : position + 4] = b"\x7f\xff\xff\xff"  # a length that reaches beyond the packet
    path.write_bytes(data)
    frames: list[Frame] = []
    with open_video(path) as video, pytest.raises(DamagedVideoError) as caught:
        for frame in video.frames():
            frames.append(frame)  # noqa: PERF402 - an exception ends it
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert 20 <= len(frames) <= 31
    assert caught.value.last_good_frame_index == len(frames) - 1
    assert capfd.readouterr().err == ""


def test_negative_start_is_refused(tmp_path: Path) -> None:
    with (
        open_video(write_clip(tmp_path / "clip.mp4")) as video,
        pytest.raises(InputError, match="start_index"),
    ):
        video.frames(-1)


def test_closing_ends_unfinished_iterators(tmp_path: Path) -> None:
    with open_video(write_clip(tmp_path / "clip.mp4")) as video:
        frames = video.frames()
        next(frames)
    assert list(frames) == []
