import pytest
import torch
from tests.model.parity.fixtures import assert_equal, needs_fixtures, read
from tests.model.parity.network import class_table, clip, network
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
from univs.types import Prediction, PromptQueries

pytestmark = needs_fixtures

YTVIS21 = slice(2203, 2243)
NUM_LEARNABLE = 200


def decode(prompts: PromptQueries | None, table: Tensor, *, name: str = "r50", average: bool = False) -> Prediction:
    options = DecodeOptions(with_auxiliary=True, average_with_learnable=average)
    return network(name).decode(clip(name), prompts, use_learnable=True, class_table=table, options=options)


def assert_layers_equal(prediction: Prediction, fixture: dict[str, Tensor]) -> None:
    """Compare the first eight learnable queries and all prompts before the first layer and after two others."""
    for layer in (0, 1, 4):
        rows = prediction.auxiliary[layer].embeddings[0]
        got = torch.cat([rows[:8], rows[NUM_LEARNABLE:]])
        assert_equal(got, fixture[f"layer{layer}_embds_first8+prompt"])


def assert_prompts_equal(prediction: Prediction, fixture: dict[str, Tensor]) -> None:
    assert_layers_equal(prediction, fixture)
    assert_equal(prediction.embeddings[0, :64], fixture["pred_embds_learn_first64"])
    assert_equal(prediction.embeddings[0, NUM_LEARNABLE:], fixture["pred_embds_prompt"])
    assert_equal(prediction.mask_logits[0, :8], fixture["pred_masks_learn_first"])
    masks = prediction.mask_logits[0, NUM_LEARNABLE:][:16]
    assert_equal(masks, fixture["pred_masks_prompt_first16"])


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
    fixture = read("decoder_learn")
    prediction = decode(None, class_table())
    assert_layers_equal(prediction, fixture)
    assert prediction.class_logits is not None
    assert_equal(prediction.embeddings[0, :64], fixture["pred_embds_learn_first64"])
    assert_equal(prediction.class_logits[0, :, YTVIS21], fixture["pred_logits_learn_cols2203_2243"])
    assert_equal(prediction.mask_logits[0, :64], fixture["pred_masks_learn_first"])


def test_learnable_queries_on_swin_decode_as_published() -> None:
    fixture = read("decoder_learn_swint")
    prediction = decode(None, class_table(), name="swint")
    assert prediction.class_logits is not None
    assert_equal(prediction.embeddings[0], fixture["pred_embds"])
    assert_equal(prediction.class_logits[0, :, YTVIS21], fixture["pred_logits_ytvis21"])
    assert_equal(prediction.mask_logits[0, :32], fixture["pred_masks_first32"])


@pytest.mark.parametrize("initial_query", InitialQuery)
def test_masks_as_prompts_decode_as_published(initial_query: InitialQuery) -> None:
    fixture = read("decoder_visual")
    masks = read("visual_sampler")["masks"].bool()[None]
    options = SamplerOptions(256, 0, CellChoice.RASTER)
    tokens = sample_masks(clip("r50").levels[2][:, 0], masks, torch.tensor([0]), options).foreground
    prompts = network("r50").visual_queries(
        over_the_clip(tokens), clip("r50").frame_indices, options=QueryOptions(initial_query)
    )
    prediction = decode(prompts, class_table())
    assert prediction.class_logits is not None
    assert_prompts_equal(prediction, fixture)
    assert_equal(prediction.class_logits[0, :, YTVIS21], fixture["pred_logits_learn_cols2203_2243"])


def test_category_names_decode_as_published() -> None:
    fixture = read("decoder_category_text")
    names = class_table()[None, YTVIS21]
    prompts = network("r50").text_queries.categories(clip("r50"), names, torch.zeros(1, 40, dtype=torch.bool))
    prediction = decode(prompts, class_table())
    assert prediction.class_logits is not None
    assert_prompts_equal(prediction, fixture)
    assert_equal(prediction.class_logits[0, :, YTVIS21], fixture["pred_logits_learn_cols2203_2243"])


def test_expressions_decode_as_published() -> None:
    fixture, text = read("decoder_text"), read("expression_prompt")
    sentences, words = text["sentence_feats"].double()[None], text["word_feats"].double()[None]
    nothing = torch.zeros(1, 2, dtype=torch.bool)
    prompts = network("r50").text_queries.expressions(clip("r50"), sentences, words, nothing)
    prediction = decode(prompts, sentences, average=True)
    assert prediction.class_logits is not None
    assert_prompts_equal(prediction, fixture)
    assert_equal(prediction.class_logits[0], fixture["pred_logits"])
