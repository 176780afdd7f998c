"""A frame's index, time and pixels belong together, whatever the file does; the number in the pixels is the witness."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tests import barcode
from tests.barcode_clips import MAKERS, Clip

from univs.types import Frame
from univs.video import open_video


@pytest.fixture(scope="module", params=list(MAKERS))
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return MAKERS[request.param](tmp_path_factory.mktemp("clips"))


def number_of(frame: Frame) -> int:
    return barcode.read(frame.image.permute(1, 2, 0).numpy())


def test_index_time_and_picture_belong_together(clip: Clip) -> None:
    with open_video(clip.path) as video:
        frames = list(video.frames())
    assert [number_of(frame) for frame in frames] == list(clip.numbers)
    assert [frame.index for frame in frames] == list(range(len(clip.numbers)))
    start = frames[0].pts * frames[0].time_base
    times = [frame.pts * frame.time_base - start for frame in frames]
    for time, expected in zip(times, clip.times_s, strict=True):
        assert abs(time - expected) < Fraction(1, 500), "a container may count in milliseconds"
    assert [frame.pts for frame in frames] == sorted({frame.pts for frame in frames}), "each later than the one before"


def test_information_counts_what_is_shown(clip: Clip) -> None:
    with open_video(clip.path) as video:
        assert video.info.num_frames == len(clip.numbers)
        assert (video.info.width, video.info.height) == (barcode.WIDTH, barcode.HEIGHT)


def test_any_start_shows_the_picture_of_its_index(clip: Clip) -> None:
    with open_video(clip.path) as video:
        list(video.frames())  # key frames are known after it
        for start in (0, 1, 11, 12, 13, len(clip.numbers) - 1):
            frames = list(video.frames(start))
            assert [number_of(frame) for frame in frames] == list(clip.numbers[start:])
            assert [frame.index for frame in frames] == list(range(start, len(clip.numbers)))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_or_mixed_picture_has_no_number(turns: int, tmp_path: Path) -> None:
    """The witness itself can be trusted."""
    picture = barcode.draw(0b10110010)
    if turns == 0:
        mixed = (picture.astype(int) + barcode.draw(0b01001101)) // 2
        with pytest.raises(AssertionError):
            barcode.read(mixed.astype(np.uint8))
        return
    with pytest.raises(AssertionError):
        barcode.read(np.rot90(picture, turns))
    with pytest.raises(AssertionError):
        barcode.read(picture[:, ::-1])
