"""The mask decoder against the published one: in float64, in float32, and in float32 with float64's attention masks."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from tests.model.parity.fixtures import assert_equal, compare, mask_iou, needs_fixtures, read
from tests.model.parity.network import class_table, clip, network
from tests.model.parity.replay import replayed
from tests.model.parity.report import REPLAYED, note
from torch import Tensor

from univs.mask_decoder import DecodeOptions
from univs.prompt_encoder import (
    CellChoice,
    InitialQuery,
    QueryOptions,
    SamplerOptions,
    VisualTokens,
    sample_masks,
)
from univs.types import Prediction, PromptQueries, PromptTokens

pytestmark = needs_fixtures

YTVIS21 = slice(2203, 2243)
NUM_LEARNABLE = 200


Decode = Callable[[torch.dtype], Prediction]


def decode(prompts: PromptQueries | None, table: Tensor, *, name: str = "r50", average: bool = False) -> Prediction:
    options = DecodeOptions(with_auxiliary=True, average_with_learnable=average)
    features = clip(name, table.dtype)
    return network(name, table.dtype).decode(features, prompts, use_learnable=True, class_table=table, options=options)


def assert_as_published(decode: Decode, name: str) -> None:
    """Compare three runs.

    On its own, float32 decides otherwise about a cell with a logit of 1e-6 here and there (see `replay`), after which
    all learnable queries differ by more than rounding; so its entries are noted, and its masks are compared.
    """
    fixture = read(name)
    for got, expected, _ in beside(decode(torch.float64), fixture):
        assert_equal(got, expected)
    for prediction, kind in ((replayed(decode, name), REPLAYED), (decode(torch.float32), "float32")):
        for got, expected, is_mask in beside(prediction, fixture):
            iou = mask_iou(got, expected) if is_mask else None
            comparison = replace(compare(got, expected), kind=kind, mask_iou=iou)
            note(comparison)
            assert iou is None or iou.together >= 0.99
            assert kind != REPLAYED or comparison.num_close >= 0.99 * comparison.num_entries


def beside(prediction: Prediction, fixture: dict[str, Tensor]) -> Iterator[tuple[Tensor, Tensor, bool]]:
    """Pair what a fixture holds with ours: ours, theirs, and whether these are masks.

    The first eight learnable queries and all prompts before the first layer and after two others, then the answers.
    """
    embeddings, masks = prediction.embeddings[0], prediction.mask_logits[0]
    assert prediction.class_logits is not None
    classes = prediction.class_logits[0]
    for key, expected in fixture.items():
        match key.split("_"):
            case [layer, "embds", "first8+prompt"]:
                rows = prediction.auxiliary[int(layer.removeprefix("layer"))].embeddings[0]
                yield torch.cat([rows[:8], rows[NUM_LEARNABLE:]]), expected, False
            case ["pred", "embds", "prompt"]:
                yield embeddings[NUM_LEARNABLE:], expected, False
            case ["pred", "embds", *_]:
                yield embeddings[: len(expected)], expected, False
            case ["pred", "masks", "prompt", _]:
                yield masks[NUM_LEARNABLE:][: len(expected)], expected, True
            case ["pred", "masks", *_]:
                yield masks[: len(expected)], expected, True
            case ["pred", "logits"]:
                yield classes, expected, False
            case ["pred", "logits", *_]:
                yield classes[: len(expected), YTVIS21], expected, False
            case _:
                raise AssertionError(key)


def over_the_clip(tokens: VisualTokens) -> VisualTokens:
    """Remember tokens of frame 0 as the released code does for a first clip of two frames."""
    slots = (*tokens.cells.shape[:2], 3)
    return VisualTokens(
        tokens.features.expand(-1, -1, 3, -1, -1),
        tokens.cells.expand(-1, -1, 3, -1),
        torch.tensor([0, 0, 1]).expand(slots),
        torch.zeros(slots, dtype=torch.int64),
        tokens.grid_size,
    )


def test_learnable_queries_decode_as_published() -> None:
    assert_as_published(lambda dtype: decode(None, class_table(dtype)), "decoder_learn")


def test_learnable_queries_on_swin_decode_as_published() -> None:
    assert_as_published(lambda dtype: decode(None, class_table(dtype), name="swint"), "decoder_learn_swint")


@pytest.mark.parametrize("initial_query", InitialQuery)
def test_masks_as_prompts_decode_as_published(initial_query: InitialQuery) -> None:
    masks = read("visual_sampler")["masks"].bool()[None]

    def prompted(dtype: torch.dtype) -> Prediction:
        options = SamplerOptions(256, 0, CellChoice.RASTER)
        features = clip("r50", dtype)
        tokens = sample_masks(features.levels[2][:, 0], masks, torch.tensor([0]), options).foreground
        prompts = network("r50", dtype).visual_queries(
            over_the_clip(tokens), features.frame_indices, options=QueryOptions(initial_query)
        )
        return decode(prompts, class_table(dtype))

    assert_as_published(prompted, "decoder_visual")


def test_category_names_decode_as_published() -> None:
    def prompted(dtype: torch.dtype) -> Prediction:
        names = class_table(dtype)[None, YTVIS21]
        nothing = torch.zeros(1, 40, dtype=torch.bool)
        prompts = network("r50", dtype).text_queries.categories(clip("r50", dtype), names, nothing)
        return decode(prompts, class_table(dtype))

    assert_as_published(prompted, "decoder_category_text")


def expressions(dtype: torch.dtype) -> tuple[PromptQueries, Tensor]:
    """Give the two expressions as prompts, and their sentences."""
    text = read("expression_prompt")
    sentences, words = text["sentence_feats"].to(dtype)[None], text["word_feats"].to(dtype)[None]
    nothing = torch.zeros(1, 2, dtype=torch.bool)
    return network("r50", dtype).text_queries.expressions(clip("r50", dtype), sentences, words, nothing), sentences


def test_expressions_decode_as_published() -> None:
    def prompted(dtype: torch.dtype) -> Prediction:
        prompts, sentences = expressions(dtype)
        return decode(prompts, sentences, average=True)

    assert_as_published(prompted, "decoder_text")


def test_expressions_with_earlier_masks_decode_as_published() -> None:
    """What joins the words of an expression are the position encodings of its mask's cells, without their features."""
    masks = read("visual_sampler")["masks"][:2].bool()[None]

    def prompted(dtype: torch.dtype) -> Prediction:
        prompts, sentences = expressions(dtype)
        features = clip("r50", dtype)
        options = SamplerOptions(256, 0, CellChoice.RASTER)
        tokens = sample_masks(features.levels[2][:, 0], masks, torch.tensor([0]), options).foreground
        seen = network("r50", dtype).visual_queries(tokens, features.frame_indices).tokens
        assert seen.positions is not None
        num_frames = prompts.tokens.features.shape[2]
        cells = seen.positions.expand(-1, -1, num_frames, -1, -1)
        blank = seen.is_padding.expand(-1, -1, num_frames, -1)
        joined = PromptTokens(
            torch.cat([cells, prompts.tokens.features], dim=3),
            None,
            torch.cat([blank, prompts.tokens.is_padding], dim=3),
        )
        return decode(replace(prompts, tokens=joined), sentences, average=True)

    assert_as_published(prompted, "decoder_text_plus_prev_masks")
