"""Under strict isolation the masks of an object are the same bytes whatever happens to other objects."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from univs.config import tiny
from univs.inference.options import InferenceOptions, Isolation
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.types import BoxPrompt, Clip, Frame, MaskPrompt, PointPrompt, ScribblePrompt, VisualPrompt

SIZE = (40, 64)
NUM_FRAMES = 6
A = 5
STRICT = InferenceOptions(short_side_px=32, presence_threshold=0.0, consistency_threshold=-1.0, minimum_quality=0.0)


@dataclass(frozen=True, slots=True)
class Life:
    """What happens to one other object."""

    prompts: tuple[VisualPrompt, ...]  # the first adds it, those after it refine it
    removed_at: int | None  # frame


@st.composite
def places(draw: st.DrawFn, count: int) -> tuple[tuple[float, float], ...]:
    share = st.integers(0, 16).map(lambda sixteenths: sixteenths / 16)
    return tuple((draw(share), draw(share)) for _ in range(count))


@st.composite
def shown(draw: st.DrawFn, object_id: int, first_frame: int = 0) -> VisualPrompt:
    frame_index = draw(st.integers(first_frame, NUM_FRAMES - 1))
    match draw(st.sampled_from(["points", "box", "mask", "scribble"])):
        case "points":
            clicks = draw(places(count=draw(st.integers(1, 3))))
            signs = (True, *(draw(st.booleans()) for _ in clicks[1:]))
            return PointPrompt(object_id, frame_index, clicks, signs)
        case "scribble":
            return ScribblePrompt(object_id, frame_index, draw(places(count=3)))
    left, top = draw(st.integers(0, 10)), draw(st.integers(0, 10))
    right, bottom = draw(st.integers(left + 2, 16)), draw(st.integers(top + 2, 16))
    if draw(st.booleans()):
        return BoxPrompt(object_id, frame_index, (left / 16, top / 16, right / 16, bottom / 16))
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[top * SIZE[0] // 16 : bottom * SIZE[0] // 16, left * SIZE[1] // 16 : right * SIZE[1] // 16] = True
    return MaskPrompt(object_id, frame_index, mask)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    object_id = draw(st.sampled_from([1, 2, 6, 900]))
    prompts = [draw(shown(object_id))]
    prompts += [draw(shown(object_id, prompts[0].frame_index)) for _ in range(draw(st.integers(0, 2)))]
    removed_at = draw(st.none() | st.integers(0, NUM_FRAMES - 1))
    return Life(tuple(prompts), removed_at)


@pytest.fixture(scope="module")
def model() -> Iterator[UniVS]:
    torch.manual_seed(3)
    yield UniVS(tiny()).optimize_for_inference()


def frame(index: int) -> Frame:
    generator = torch.Generator().manual_seed(index)
    return Frame(
        index, index, Fraction(1, 25), torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8, generator=generator)
    )


def masks_of_a(
    model: UniVS, prompts: list[VisualPrompt], others: list[Life], options: InferenceOptions = STRICT
) -> list[str]:
    segmenter = VideoSegmenter(model, options, SIZE)
    for prompt in prompts:
        segmenter.add_prompt(prompt)
    for life in others:
        for prompt in life.prompts:
            segmenter.add_prompt(prompt)
    masks = []
    for index in range(NUM_FRAMES):
        for life in others:
            if life.removed_at == index:
                segmenter.remove_object(life.prompts[0].object_id)
        (result,) = segmenter.step(Clip((frame(index),)))
        masks += [answer.mask.counts for answer in result.objects if answer.object_id == A]
    return masks


def one_life_each(found: list[Life]) -> list[Life]:
    return list({life.prompts[0].object_id: life for life in found}.values())


@given(first=shown(A), correction=st.none() | shown(A), others=st.lists(lives(), min_size=1, max_size=3))
@settings(deadline=None, max_examples=25)
def test_adding_object_b_leaves_the_rle_of_object_a_unchanged(
    model: UniVS, first: VisualPrompt, correction: VisualPrompt | None, others: list[Life]
) -> None:
    prompts = [first] if correction is None else [first, correction]
    alone = masks_of_a(model, prompts, [])
    assert masks_of_a(model, prompts, one_life_each(others)) == alone
    assert len(alone) == NUM_FRAMES - min(prompt.frame_index for prompt in prompts)


def test_joint_objects_see_each_other(model: UniVS) -> None:
    box, other = BoxPrompt(A, 0, (0.2, 0.2, 0.7, 0.8)), Life((BoxPrompt(1, 0, (0.4, 0.1, 0.9, 0.9)),), None)
    joint = replace(STRICT, isolation=Isolation.JOINT, reach=None)
    assert masks_of_a(model, [box], [other], joint) != masks_of_a(model, [box], [], joint)
    apart = replace(STRICT, reach=None)
    assert masks_of_a(model, [box], [other], apart) == masks_of_a(model, [box], [], apart)
