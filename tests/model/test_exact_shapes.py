"""From picture to masks in float64: padding changes nothing, whatever the size, length and number of objects."""

from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
import torch
from torch import Tensor

from univs.config import tiny
from univs.inference.options import InferenceOptions
from univs.inference.segmenter import VideoSegmenter
from univs.mask_decoder import SelfAttention
from univs.model import UniVS
from univs.prompt_encoder import SamplerOptions, VisualTokens, sample_masks
from univs.types import BoxPrompt, Clip, ClipFeatures, Frame, Prediction, Prompt, PromptQueries, PromptTokens

TOLERANCE = 1e-9  # the promise is 1e-5
SIZES = [(33, 95), (64, 96), (90, 150), (1, 1)]


@cache
def network() -> UniVS:
    torch.manual_seed(0)
    return UniVS(tiny()).double().eval().requires_grad_(False)


def clip(size: tuple[int, int], num_frames: int) -> ClipFeatures:
    images = torch.randint(0, 256, (1, num_frames, 3, *size), generator=torch.Generator().manual_seed(1))
    return network().encode_frames(images, torch.arange(num_frames)[None])


def tokens(features: ClipFeatures, number: int) -> VisualTokens:
    """Sample objects of all places and sizes."""
    height, width = features.padded_size
    masks = torch.zeros(1, number, height, width, dtype=torch.bool)
    for index in range(number):
        masks[0, index, 5 * index % (height - 8) :, 7 * index % (width - 8) : 7 * index % (width - 8) + 40] = True
    return sample_masks(features.levels[2][:, 0], masks, torch.tensor([0]), SamplerOptions(8, 0)).foreground


def with_empty_slots(sampled: VisualTokens, number: int) -> tuple[VisualTokens, Tensor]:
    """Put slots without an object behind the others; say which they are."""
    num_objects = sampled.cells.shape[1]

    def longer(values: Tensor, fill: float) -> Tensor:
        return torch.cat([values, values.new_full((1, number, *values.shape[2:]), fill)], dim=1)

    padded = VisualTokens(
        longer(sampled.features, 3.0),  # whatever stands there
        longer(sampled.cells, -1),
        longer(sampled.frame_indices, -1),
        longer(sampled.source_indices, -1),
        sampled.grid_size,
    )
    return padded, torch.arange(num_objects + number)[None] >= num_objects


def with_empty_tokens(queries: PromptQueries, number: int) -> PromptQueries:
    """Put places without a token behind the others of every object."""
    assert queries.tokens.positions is not None

    def longer(values: Tensor, fill: float) -> Tensor:
        shape = list(values.shape)
        shape[3] = number
        return torch.cat([values, values.new_full(shape, fill)], dim=3)

    return replace(
        queries,
        tokens=PromptTokens(
            longer(queries.tokens.features, 2.0),
            longer(queries.tokens.positions, 2.0),
            longer(queries.tokens.is_padding, True),
        ),
    )


def decode(features: ClipFeatures, queries: PromptQueries, mode: SelfAttention, table: Tensor) -> Prediction:
    return network().decode(features, queries, use_learnable=True, self_attention=mode, class_table=table)


@pytest.mark.parametrize("mode", [SelfAttention.SEPARATE, SelfAttention.BLOCKED])
@pytest.mark.parametrize("num_objects", [0, 1, 40])
@pytest.mark.parametrize("num_frames", [1, 7])
@pytest.mark.parametrize("size", SIZES)
def test_padding_changes_nothing_in_any_shape(
    size: tuple[int, int], num_frames: int, num_objects: int, mode: SelfAttention
) -> None:
    features = clip(size, num_frames)
    sampled = tokens(features, num_objects)
    table = torch.randn(9, tiny().text_dim, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    plain = decode(features, network().visual_queries(sampled, features.frame_indices), mode, table[:4])

    slots, is_padding = with_empty_slots(sampled, 3)
    queries = with_empty_tokens(network().visual_queries(slots, features.frame_indices, is_padding), 5)
    padded = decode(features, queries, mode, table)

    rows = plain.mask_logits.shape[1]
    assert rows == plain.num_learnable + num_objects
    assert plain.class_logits is not None and padded.class_logits is not None
    for one, other in (
        (plain.mask_logits, padded.mask_logits[:, :rows]),
        (plain.embeddings, padded.embeddings[:, :rows]),
        (plain.class_logits, padded.class_logits[:, :rows, :4]),
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("size", [(70, 110), (33, 95)])
def test_an_object_among_forty_is_the_one_alone_to_the_last_bit(size: tuple[int, int]) -> None:
    torch.manual_seed(3)
    model = UniVS(tiny()).optimize_for_inference()
    options = InferenceOptions(short_side_px=64, presence_threshold=0.0, consistency_threshold=-1.0)

    def answers(prompts: list[Prompt]) -> list[str]:
        segmenter = VideoSegmenter(model, options, size)
        for prompt in prompts:
            segmenter.add_prompt(prompt)
        noise = torch.Generator().manual_seed(4)
        frames = [
            Frame(index, index, Fraction(1, 25), torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=noise))
            for index in range(7)
        ]
        results = segmenter.step(Clip(tuple(frames)))
        assert [len(result.objects) for result in results] == [len(prompts)] * 7
        return [found.mask.counts for result in results for found in result.objects if found.object_id == 1]

    boxes: list[Prompt] = [BoxPrompt(1 + row, 0, (0.02 * row, 0.1, 0.02 * row + 0.2, 0.8)) for row in range(40)]
    assert answers([]) == []
    assert answers(boxes[:1]) == answers(boxes)
