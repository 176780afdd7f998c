from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from univs.config import tiny
from univs.errors import PromptError, PromptOutOfRangeError, UnknownObjectError, UnsupportedPromptError
from univs.inference import snapshot
from univs.inference.options import InferenceOptions
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.rle import decode
from univs.types import (
    BoxPrompt,
    Clip,
    Frame,
    FrameResult,
    MaskPrompt,
    ObjectState,
    PointPrompt,
    Prompt,
    ScribblePrompt,
    TextPrompt,
)

SIZE = (70, 110)
BOX = BoxPrompt(1, 0, (0.2, 0.2, 0.6, 0.7))
OPTIONS = InferenceOptions(short_side_px=64, presence_threshold=0.0, consistency_threshold=-1.0, minimum_quality=0.0)


@pytest.fixture(scope="module")
def model() -> Iterator[UniVS]:
    torch.manual_seed(3)
    yield UniVS(tiny()).optimize_for_inference()


def frames(count: int, first: int = 0) -> list[Frame]:
    """Noise that differs from frame to frame and is the same for the same index."""
    return [
        Frame(
            index,
            index * 512,
            Fraction(1, 15360),
            torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(index)),
        )
        for index in range(first, first + count)
    ]


def segment(model: UniVS, prompts: list[Prompt], count: int, options: InferenceOptions = OPTIONS) -> list[FrameResult]:
    segmenter = VideoSegmenter(model, options, SIZE)
    for prompt in prompts:
        segmenter.add_prompt(prompt)
    return segmenter.step(Clip(tuple(frames(count))))


def masks_of(results: list[FrameResult], object_id: int) -> list[str]:
    return [found.mask.counts for result in results for found in result.objects if found.object_id == object_id]


def test_every_frame_has_one_result_with_its_index_and_time(model: UniVS) -> None:
    results = segment(model, [BOX], 4)
    assert [(result.frame_index, result.pts) for result in results] == [(0, 0), (1, 512), (2, 1024), (3, 1536)]
    assert all(result.objects[0].mask.size == SIZE for result in results)


def test_a_given_mask_is_the_answer_in_its_frame(model: UniVS) -> None:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[20:50, 30:90] = True
    found = segment(model, [MaskPrompt(5, 0, mask)], 1)[0].objects[0]
    assert found.area_fraction == pytest.approx(30 * 60 / (70 * 110))
    assert (found.score, found.state) == (1.0, ObjectState.VISIBLE)


def test_what_looks_like_an_object_out_of_its_reach_is_not_drawn(model: UniVS) -> None:
    given = torch.zeros(SIZE, dtype=torch.bool)
    given[10:30, 10:40] = True
    near = torch.zeros(SIZE, dtype=torch.bool)
    near[:60, :70] = True  # two cells of 8 pixels, half a cell of interpolation, all at 70 / 64 of the network's size
    found = {
        reach: decode(segment(model, [MaskPrompt(1, 0, given)], 2, replace(OPTIONS, reach=reach))[1].objects[0].mask)
        for reach in (None, 0.0)
    }
    everywhere, within = torch.from_numpy(found[None]), torch.from_numpy(found[0.0])
    assert bool((everywhere & ~near).any()), "these weights draw nothing far away: the test shows nothing"
    assert not bool((within & ~near).any())


def test_adding_objects_leaves_every_other_mask_as_it_was(model: UniVS) -> None:
    alone = segment(model, [BOX], 5)
    others: list[Prompt] = [
        BoxPrompt(2, 0, (0.5, 0.1, 0.9, 0.9)),
        PointPrompt(3, 2, ((0.4, 0.4), (0.9, 0.9)), (True, False)),
        ScribblePrompt(9, 3, ((0.1, 0.1), (0.8, 0.4))),
    ]
    together = segment(model, [BOX, *others], 5)
    assert masks_of(together, 1) == masks_of(alone, 1)
    assert [len(result.objects) for result in together] == [2, 2, 3, 4, 4]


def test_a_restored_segmenter_goes_on_with_the_same_masks(model: UniVS) -> None:
    prompts: list[Prompt] = [BOX, PointPrompt(2, 1, ((0.5, 0.5),), (True,))]
    uninterrupted = segment(model, prompts, 8)
    segmenter = VideoSegmenter(model, OPTIONS, SIZE)
    for prompt in prompts:
        segmenter.add_prompt(prompt)
    segmenter.step(Clip(tuple(frames(4))))
    blob = snapshot.take(segmenter)
    restored = snapshot.restore(blob, model, OPTIONS)
    assert snapshot.take(restored) == blob
    assert restored.step(Clip(tuple(frames(4, first=4)))) == uninterrupted[4:]


def test_memory_does_not_grow_with_the_length_of_the_video(model: UniVS) -> None:
    segmenter = VideoSegmenter(model, OPTIONS, SIZE)
    segmenter.add_prompt(BOX)
    segmenter.step(Clip(tuple(frames(1))))
    at_start = segmenter.num_bytes
    segmenter.step(Clip(tuple(frames(20, first=1))))
    assert segmenter.num_bytes == at_start
    segmenter.remove_object(1)
    assert segmenter.num_bytes == 0


def test_an_object_keeps_the_bytes_of_the_formula(model: UniVS) -> None:
    segmenter = VideoSegmenter(model, OPTIONS, SIZE)
    segmenter.add_prompt(BOX)
    segmenter.step(Clip(tuple(frames(3))))
    memory, channels = model.config.memory, model.config.hidden_dim
    height, width = (side // 8 for side in segmenter.framing.padded)
    pool = (1 + memory.num_frames) * (2 * memory.tokens_per_frame * (2 * channels + 4) + 16)
    track = 4 * memory.num_frames * channels + 2 * height * width
    keys_before = 2 * height * width * memory.look_back_dim
    assert segmenter.num_bytes == pool + track + keys_before


def test_frames_before_the_first_prompt_have_no_objects(model: UniVS) -> None:
    results = segment(model, [BoxPrompt(1, 2, (0.1, 0.1, 0.5, 0.5))], 4)
    assert [len(result.objects) for result in results] == [0, 0, 1, 1]


def test_a_removed_object_is_gone_and_the_others_stay(model: UniVS) -> None:
    segmenter = VideoSegmenter(model, OPTIONS, SIZE)
    segmenter.add_prompt(BOX)
    segmenter.add_prompt(BoxPrompt(2, 0, (0.5, 0.1, 0.9, 0.9)))
    segmenter.step(Clip(tuple(frames(2))))
    segmenter.remove_object(2)
    after = segmenter.step(Clip(tuple(frames(2, first=2))))
    assert masks_of(after, 1) == masks_of(segment(model, [BOX], 4), 1)[2:]
    assert masks_of(after, 2) == []
    with pytest.raises(UnknownObjectError, match="got 2"):
        segmenter.remove_object(2)


def test_an_unbelieved_object_is_lost_and_not_drawn(model: UniVS) -> None:
    doubting = InferenceOptions(short_side_px=64, presence_threshold=1.0, lost_after_frames=2)
    results = segment(model, [BOX], 6, doubting)
    states = [result.objects[0].state for result in results[1:]]
    assert states[-1] is ObjectState.LOST
    assert all(result.objects[0].area_fraction == 0 for result in results[1:])


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        (BoxPrompt(1, 0, (0.2, 0.2, 1.4, 0.7)), PromptOutOfRangeError),
        (BoxPrompt(1, 0, (0.5, 0.2, 0.4, 0.7)), PromptError),
        (PointPrompt(1, 0, ((-0.1, 0.5),), (True,)), PromptOutOfRangeError),
        (PointPrompt(1, 0, (), ()), PromptError),
        (MaskPrompt(1, 0, torch.ones(3, 3, dtype=torch.bool)), PromptOutOfRangeError),
        (MaskPrompt(1, 0, torch.zeros(SIZE, dtype=torch.bool)), PromptError),
        (TextPrompt(1, "a dog"), UnsupportedPromptError),
    ],
)
def test_a_prompt_that_cannot_be_used_is_refused(model: UniVS, prompt: Prompt, error: type[Exception]) -> None:
    segmenter = VideoSegmenter(model, OPTIONS, SIZE)
    with pytest.raises(error, match="expected"):
        segmenter.add_prompt(prompt)
    assert segmenter.step(Clip(tuple(frames(1))))[0].objects == ()


def test_a_prompt_for_a_frame_that_has_passed_is_refused(model: UniVS) -> None:
    segmenter = VideoSegmenter(model, OPTIONS, SIZE)
    segmenter.step(Clip(tuple(frames(2))))
    with pytest.raises(PromptError, match="has passed"):
        segmenter.add_prompt(BOX)


def test_a_frame_out_of_order_is_a_mistake_of_the_caller(model: UniVS) -> None:
    segmenter = VideoSegmenter(model, OPTIONS, SIZE)
    with pytest.raises(ValueError, match="expected frame 0"):
        segmenter.step(Clip(tuple(frames(1, first=3))))


def test_a_frame_without_a_picture_is_gone_past_with_its_prompts_kept(model: UniVS) -> None:
    box = BoxPrompt(1, 2, (0.2, 0.2, 0.7, 0.7))
    skipping = VideoSegmenter(model, OPTIONS, SIZE)
    skipping.add_prompt(box)
    plain = VideoSegmenter(model, OPTIONS, SIZE)
    plain.skip_to(3)
    plain.add_prompt(replace(box, frame_index=3))
    pictures = frames(6)
    for picture in pictures[:2]:
        skipping.step(Clip((picture,)))
    skipping.skip()
    for picture in pictures[3:]:
        (after_a_gap,), (alone,) = skipping.step(Clip((picture,))), plain.step(Clip((picture,)))
        assert [found.mask for found in after_a_gap.objects] == [found.mask for found in alone.objects]
        assert len(alone.objects) == 1
