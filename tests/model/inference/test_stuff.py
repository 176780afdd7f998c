"""Targets that are stuff: their pixels are labelled by category, from the learnable queries."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from univs.config import tiny
from univs.inference import snapshot
from univs.inference.competition import NewObject, resolve_known, resolve_new
from univs.inference.framing import Framing
from univs.inference.options import paper, released_vos
from univs.inference.segmenter import VideoSegmenter
from univs.inference.stuff import StuffCategories, label_pixels
from univs.model import UniVS
from univs.types import Clip, Frame, FrameResult, MaskPrompt

SIZE = (70, 110)
VOS = replace(
    released_vos(), clip_length=3, short_side_px=64, tokens_per_frame=8, memory_frames=3, consistency_threshold=-1.0
)


@pytest.fixture(scope="module")
def model() -> Iterator[UniVS]:
    torch.manual_seed(5)
    network = UniVS(tiny()).optimize_for_inference()
    last = network.mask_decoder.heads.mask[-1]
    assert isinstance(last, torch.nn.Linear)
    last.weight.mul_(100)  # masks of random weights are too faint to be stable
    yield network


def images(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def clip(first: int, stop: int) -> Clip:
    pictures = images(stop)
    return Clip(tuple(Frame(index, index, Fraction(1, 25), pictures[index]) for index in range(first, stop)))


def a_mask(object_id: int, left: int) -> MaskPrompt:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[20:50, left : left + 40] = True
    return MaskPrompt(object_id, 0, mask)


def segment(model: UniVS, stuff: StuffCategories | None, prompts: list[MaskPrompt]) -> list[FrameResult]:
    segmenter = VideoSegmenter(model, VOS, SIZE, stuff)
    for prompt in prompts:
        segmenter.add_prompt(prompt)
    return segmenter.step(clip(0, 5)) + segmenter.finish()


def test_alone_stuff_takes_every_pixel_where_there_is_one_category(model: UniVS) -> None:
    only = StuffCategories(torch.ones(1, 32), {1: 0})
    first, *later = segment(model, only, [a_mask(1, 10)])
    assert first.objects[0].area_fraction < 0.2  # as given
    assert all(result.objects[0].area_fraction == 1 for result in later)


def test_things_of_a_video_without_stuff_are_as_they_were(model: UniVS) -> None:
    things = StuffCategories(torch.ones(1, 32), {9: 0})
    prompts = [a_mask(1, 10), a_mask(2, 60)]
    assert segment(model, things, prompts) == segment(model, None, prompts)


def test_stuff_takes_pixels_from_things(model: UniVS) -> None:
    prompts = [a_mask(1, 10), a_mask(2, 60)]
    assert segment(model, StuffCategories(torch.ones(1, 32), {2: 0}), prompts) != segment(model, None, prompts)


def test_labels_follow_the_order_of_the_categories(model: UniVS) -> None:
    framing = Framing.fit(SIZE, 64, 1333)
    frames = framing.shrink(images(2))
    features = model.encode_frames(frames[None], torch.arange(2)[None])
    vectors = torch.randn(6, 32, generator=torch.Generator().manual_seed(1))
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    labels = label_pixels(model, features, vectors, framing)
    assert labels.shape == (2, *framing.padded)
    assert torch.equal(order[label_pixels(model, features, vectors[order], framing)], labels)


def test_certain_pixels_are_won_by_weight_alone() -> None:
    logits = torch.full((2, 1, 1, 4), 3.0)
    is_certain = torch.zeros(2, 1, 1, 4, dtype=torch.bool)
    is_certain[1, ..., :2] = True
    kept = resolve_known(logits, torch.tensor([1.0, 0.99]), torch.ones(2), is_certain)
    assert (kept[:, 0, 0] > 0).tolist() == [[False, False, True, True], [True, True, False, False]]


def test_stuff_need_not_agree_with_its_prompt() -> None:
    logits = torch.full((1, 2, 200, 200), -1.0)
    logits[..., 0] = 5.0
    given = torch.ones(200, 200, dtype=torch.bool)
    results = [
        resolve_new(logits, [NewObject(given, 0, is_stuff)], torch.ones(1), None)[0] for is_stuff in (False, True)
    ]
    assert results[0] is None
    assert results[1] is not None


def test_a_restored_segmenter_goes_on_with_the_same_masks(model: UniVS) -> None:
    stuff = StuffCategories(torch.eye(4, 32), {2: 1})
    prompts = [a_mask(1, 10), a_mask(2, 60)]
    segmenter = VideoSegmenter(model, VOS, SIZE, stuff)
    for prompt in prompts:
        segmenter.add_prompt(prompt)
    results = segmenter.step(clip(0, 4))
    restored = snapshot.restore(snapshot.take(segmenter), model, VOS, stuff)
    results += restored.step(clip(restored.next_frame, 5)) + restored.finish()
    assert results == segment(model, stuff, prompts)


def test_our_judge_refuses_stuff(model: UniVS) -> None:
    with pytest.raises(ValueError, match="presence"):
        VideoSegmenter(model, paper(64), SIZE, StuffCategories(torch.ones(1, 32), {1: 0}))


def test_a_category_without_a_vector_is_refused() -> None:
    with pytest.raises(ValueError, match="4 category vectors"):
        StuffCategories(torch.ones(4, 32), {1: 0, 3: 4})
