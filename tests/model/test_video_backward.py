"""Frames come backward as they come forward: the same pictures under the same numbers, a block in memory at a time."""

from pathlib import Path

import pytest
from tests import barcode
from tests.barcode_clips import MAKERS

from univs.errors import InputError
from univs.types import Frame
from univs.video import Video, open_video

FRAME_BYTES = 3 * barcode.WIDTH * barcode.HEIGHT


def number(frame: Frame) -> int:
    return barcode.read(frame.image.permute(1, 2, 0).numpy())


@pytest.mark.parametrize(
    "kind", ["b-frames mp4", "b-frames ts", "hidden frames vp9", "variable rate mp4", "turned 90", "edit list, turned"]
)
def test_backward_gives_the_frames_of_forward_in_reverse(tmp_path: Path, kind: str) -> None:
    clip = MAKERS[kind](tmp_path)
    with open_video(clip.path) as video:
        forward = list(video.frames())
        backward = list(video.frames_backward(len(forward) - 1, max_bytes=7 * FRAME_BYTES))
    assert [frame.index for frame in backward] == list(range(len(forward) - 1, -1, -1))
    assert [number(frame) for frame in backward] == list(reversed(clip.numbers))
    for one, other in zip(backward, reversed(forward), strict=True):
        assert (one.pts, one.time_base) == (other.pts, other.time_base)
        assert one.image.equal(other.image)


@pytest.mark.parametrize("start", [0, 1, 12, 23])
def test_a_start_in_the_middle_gives_what_lies_before_it(tmp_path: Path, start: int) -> None:
    clip = MAKERS["b-frames mp4"](tmp_path)
    with open_video(clip.path) as video:
        assert [number(frame) for frame in video.frames_backward(start)] == list(range(start, -1, -1))


def test_no_more_than_a_block_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = MAKERS["b-frames mp4"](tmp_path)
    converted = 0
    convert = Video._to_frame

    def count(*arguments: object) -> Frame:
        nonlocal converted
        converted += 1
        return convert(*arguments)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(Video, "_to_frame", count)
    with open_video(clip.path) as video:
        for num_given, _ in enumerate(video.frames_backward(39, max_bytes=6 * FRAME_BYTES), start=1):
            assert converted <= -(-num_given // 6) * 6
    assert converted == 40


def test_a_start_that_the_video_does_not_have_is_refused(tmp_path: Path) -> None:
    clip = MAKERS["b-frames mp4"](tmp_path)
    with open_video(clip.path) as video:
        with pytest.raises(InputError, match="at least 0"):
            video.frames_backward(-1)
        with pytest.raises(InputError, match="expected frame 40"):
            next(iter(video.frames_backward(40)))
