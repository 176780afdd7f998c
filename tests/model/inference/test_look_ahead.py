"""A frame that is looked at early gives the same masks, whatever came of it."""

from collections.abc import Iterator
from fractions import Fraction

import pytest
import torch

from univs.config import tiny
from univs.inference.look_ahead import LookAhead, see
from univs.inference.options import InferenceOptions
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.types import BoxPrompt, Clip, Frame, FrameResult

SIZE = (32, 48)
OPTIONS = InferenceOptions(short_side_px=32, presence_threshold=0.0, consistency_threshold=-1.0, minimum_quality=0.0)


@pytest.fixture(scope="module")
def model() -> Iterator[UniVS]:
    torch.manual_seed(1)
    yield UniVS(tiny()).optimize_for_inference()


def frame(index: int) -> Frame:
    random = torch.Generator().manual_seed(index)
    return Frame(index, index, Fraction(1, 25), torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8, generator=random))


def run(model: UniVS, frames: list[Frame], coming: dict[int, Frame]) -> list[FrameResult]:
    segmenter = VideoSegmenter(model, OPTIONS, SIZE)
    segmenter.add_prompt(BoxPrompt(1, 1, (0.1, 0.1, 0.7, 0.8)))
    results = []
    for one in frames:
        if one.index in coming:
            segmenter.look_ahead(coming[one.index])
        results += segmenter.step(Clip((one,)))
    return results


def test_masks_are_the_same_to_the_last_bit(model: UniVS) -> None:
    frames = [frame(index) for index in range(6)]
    assert run(model, frames, {index: frames[index + 1] for index in range(5)}) == run(model, frames, {})


def test_a_frame_that_never_comes_is_not_taken_for_another(model: UniVS) -> None:
    frames = [frame(index) for index in range(5)]
    strangers = {index: frame(100 + index) for index in (1, 2, 3)}
    assert run(model, frames, strangers) == run(model, frames, {})


def test_nothing_is_looked_at_before_an_object_asks_for_it(model: UniVS, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = VideoSegmenter(model, OPTIONS, SIZE)
    seen: list[int] = []
    monkeypatch.setattr(LookAhead, "begin", lambda _self, _image, index: seen.append(index))
    segmenter.look_ahead(frame(1))
    segmenter.add_prompt(BoxPrompt(1, 2, (0.1, 0.1, 0.7, 0.8)))
    segmenter.look_ahead(frame(1))
    segmenter.look_ahead(frame(2))
    assert seen == [2]


def test_only_the_newest_frames_are_held(model: UniVS) -> None:
    framing = VideoSegmenter(model, OPTIONS, SIZE).framing
    ahead = LookAhead(model, framing)
    images = [frame(index).image for index in range(3)]
    for index, image in enumerate(images):
        ahead.begin(image, index)
    assert ahead.take(images[0]) is None
    early = ahead.take(images[2])
    assert early is not None
    with torch.inference_mode():
        late = see(model, framing, images[2], 2)
    assert torch.equal(early.mask_features, late.mask_features)
    assert int(early.frame_indices) == 2
    assert ahead.take(images[2]) is None
    assert ahead.take(images[1]) is None


def test_what_goes_wrong_early_is_said_in_its_turn(model: UniVS) -> None:
    ahead = LookAhead(model, VideoSegmenter(model, OPTIONS, SIZE).framing)
    broken = torch.zeros(3)
    ahead.begin(broken, 0)
    with pytest.raises((RuntimeError, IndexError, ValueError)):
        ahead.take(broken)
