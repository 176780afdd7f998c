"""A video is followed towards its beginning as it would be followed forward if it had been filmed in reverse."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from univs.config import tiny
from univs.errors import PromptError
from univs.inference.backward import TimeMirror
from univs.inference.options import InferenceOptions, released_vos
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.types import BoxPrompt, Clip, Frame, FrameResult, PointPrompt, Prompt

SIZE = (40, 64)
LAST = 7
ALONE = InferenceOptions(short_side_px=32, presence_threshold=0.0, consistency_threshold=-1.0, minimum_quality=0.0)
TOGETHER = replace(released_vos(), clip_length=3, short_side_px=32, tokens_per_frame=8, memory_frames=3)


@pytest.fixture(scope="module")
def model() -> Iterator[UniVS]:
    torch.manual_seed(3)
    yield UniVS(tiny()).optimize_for_inference()


def frame(index: int, picture: int) -> Frame:
    image = torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(picture))
    return Frame(index, 512 * index, Fraction(1, 15360), image)


def run(model: UniVS, prompts: list[Prompt], frames: list[Frame], options: InferenceOptions) -> list[FrameResult]:
    segmenter = VideoSegmenter(model, options, SIZE)
    for prompt in prompts:
        segmenter.add_prompt(prompt)
    return [result for one in frames for result in segmenter.step(Clip((one,)))] + segmenter.finish()


@pytest.mark.parametrize("options", [ALONE, TOGETHER], ids=["alone", "together"])
def test_backward_masks_are_those_of_the_reversed_video(model: UniVS, options: InferenceOptions) -> None:
    mirror = TimeMirror(LAST)
    box = BoxPrompt(1, LAST, (0.2, 0.2, 0.6, 0.7))
    click = PointPrompt(2, 4, ((0.5, 0.5),), (True,))
    backward = run(
        model,
        [mirror.prompt(box), mirror.prompt(click)],
        [mirror.frame(frame(index, index)) for index in range(LAST, -1, -1)],
        options,
    )
    reversed_video = run(
        model,
        [replace(box, frame_index=0), replace(click, frame_index=LAST - 4)],
        [frame(place, LAST - place) for place in range(LAST + 1)],
        options,
    )
    turned = [mirror.result(result) for result in backward]
    assert [result.frame_index for result in turned] == list(range(LAST, -1, -1))
    assert [result.pts for result in turned] == [512 * index for index in range(LAST, -1, -1)]
    for one, other in zip(turned, reversed_video, strict=True):
        assert [answer.object_id for answer in one.objects] == ([1, 2] if one.frame_index <= 4 else [1])
        assert [replace(answer, frame_index=0) for answer in one.objects] == [
            replace(answer, frame_index=0) for answer in other.objects
        ]


@given(start=st.integers(0, 10**6), frame_index=st.integers(0, 10**6), pts=st.integers(-(10**9), 10**9))
def test_a_mirror_undoes_itself(start: int, frame_index: int, pts: int) -> None:
    mirror = TimeMirror(start)
    assert mirror.frame_index(mirror.frame_index(frame_index)) == frame_index
    given_frame = Frame(frame_index, pts, Fraction(1, 25), torch.zeros(3, 1, 1, dtype=torch.uint8))
    twice = mirror.frame(mirror.frame(given_frame))
    assert (twice.index, twice.pts) == (frame_index, pts)


def test_a_prompt_after_the_start_is_refused() -> None:
    with pytest.raises(PromptError, match="frame 3 or earlier"):
        TimeMirror(3).prompt(BoxPrompt(1, 4, (0.1, 0.1, 0.5, 0.5)))
