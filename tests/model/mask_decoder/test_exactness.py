"""What padding, neighbours and batches must not change."""

from dataclasses import replace

import pytest
import torch
from tests.model.mask_decoder.scenes import CHANNELS, TEXT, clip, decoder, joined, prompts
from torch import Tensor

from univs.mask_decoder import DecodeOptions, SelfAttention, decode_in_tiles
from univs.types import ClipFeatures, Prediction, PromptQueries, PromptTokens

ALL = DecodeOptions(with_auxiliary=True)


def decode(
    features: ClipFeatures,
    queries: PromptQueries | None,
    mode: SelfAttention = SelfAttention.SEPARATE,
    *,
    use_learnable: bool = True,
    class_table: Tensor | None = None,
) -> Prediction:
    network = decoder()
    prediction: Prediction = network(
        network.project(features),
        queries,
        use_learnable=use_learnable,
        self_attention=mode,
        class_table=class_table,
        options=ALL,
    )
    return prediction


def assert_same(left: Prediction, right: Prediction, rows: int) -> None:
    """Compare the first rows of every layer."""
    for one, other in zip([*left.auxiliary, left], [*right.auxiliary, right], strict=True):
        torch.testing.assert_close(one.mask_logits[:, :rows], other.mask_logits[:, :rows], rtol=0, atol=1e-9)
        torch.testing.assert_close(one.embeddings[:, :rows], other.embeddings[:, :rows], rtol=0, atol=1e-9)


@pytest.mark.parametrize("mode", SelfAttention)
def test_padded_slots_change_nothing(mode: SelfAttention) -> None:
    features, real = clip(), prompts()
    padded = joined(real, prompts(number=4, seed=9), is_padding=True)
    assert_same(decode(features, real, mode), decode(features, padded, mode), rows=8 + 3)


def test_slots_that_are_all_padding_give_numbers() -> None:
    empty = replace(prompts(), is_padding=torch.ones(1, 3, dtype=torch.bool))
    prediction = decode(clip(), empty)
    assert prediction.mask_logits.isfinite().all()


def test_padded_tokens_change_nothing() -> None:
    features, real = clip(), prompts()
    assert real.tokens.positions is not None
    more = torch.randn(1, 3, 1, 7, CHANNELS, dtype=torch.float64)
    longer = PromptTokens(
        torch.cat([real.tokens.features, more], dim=3),
        torch.cat([real.tokens.positions, more], dim=3),
        torch.cat([real.tokens.is_padding, torch.ones(1, 3, 1, 7, dtype=torch.bool)], dim=3),
    )
    assert_same(decode(features, real), decode(features, replace(real, tokens=longer)), rows=11)


def test_an_object_without_any_token_gives_numbers() -> None:
    real = prompts()
    blank = replace(real, tokens=replace(real.tokens, is_padding=torch.ones(1, 3, 1, 5, dtype=torch.bool)))
    assert decode(clip(), blank).mask_logits.isfinite().all()


def test_more_rows_of_the_class_table_change_nothing() -> None:
    table = torch.randn(9, TEXT, dtype=torch.float64)
    short = decode(clip(), prompts(), class_table=table[:4]).class_logits
    long = decode(clip(), prompts(), class_table=table).class_logits
    assert short is not None
    assert long is not None
    torch.testing.assert_close(short, long[..., :4])


def test_tokens_shared_by_all_frames_equal_tokens_repeated_for_each() -> None:
    shared = prompts()
    assert shared.tokens.positions is not None
    repeated = PromptTokens(
        shared.tokens.features.expand(-1, -1, 2, -1, -1),
        shared.tokens.positions.expand(-1, -1, 2, -1, -1),
        shared.tokens.is_padding.expand(-1, -1, 2, -1),
    )
    assert_same(decode(clip(), shared), decode(clip(), replace(shared, tokens=repeated)), rows=11)


@pytest.mark.parametrize("mode", [SelfAttention.SEPARATE, SelfAttention.BLOCKED])
def test_learnable_queries_and_prompts_do_not_meet(mode: SelfAttention) -> None:
    features, real = clip(), prompts()
    together = decode(features, real, mode)
    assert_same(together, decode(features, None, mode), rows=8)
    alone = decode(features, real, mode, use_learnable=False)
    torch.testing.assert_close(together.mask_logits[:, 8:], alone.mask_logits, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mode", [SelfAttention.SEPARATE, SelfAttention.PROMPTS_SEE_LEARNABLE, SelfAttention.NONE])
def test_prompts_see_each_other_unless_blocked(mode: SelfAttention) -> None:
    features, real = clip(), prompts()
    more = joined(real, prompts(number=1, seed=9), is_padding=False)
    change = decode(features, more, mode).embeddings[:, 8:11] - decode(features, real, mode).embeddings[:, 8:]
    assert change.abs().max() > 1e-3


def test_a_video_in_a_batch_is_decoded_as_alone() -> None:
    features, queries = clip(batch=3), prompts(batch=3)
    alone_features = ClipFeatures(
        tuple(level[1:2] for level in features.levels),
        features.mask_features[1:2],
        features.frame_indices[1:2],
        features.padded_size,
    )
    tokens = queries.tokens
    assert tokens.positions is not None
    alone_queries = replace(
        queries,
        content=queries.content[1:2],
        position=queries.position[1:2],
        tokens=PromptTokens(tokens.features[1:2], tokens.positions[1:2], tokens.is_padding[1:2]),
        is_padding=queries.is_padding[1:2],
    )
    together, alone = decode(features, queries), decode(alone_features, alone_queries)
    torch.testing.assert_close(together.mask_logits[1:2], alone.mask_logits, rtol=0, atol=1e-9)


def tiled(features: ClipFeatures, queries: PromptQueries, *, use_learnable: bool = False) -> Prediction:
    return decode_in_tiles(
        decoder().float(),
        features,
        queries,
        use_learnable=use_learnable,
        class_table=None,
        options=ALL,
        tile_size=4,
    )


def in_float32(features: ClipFeatures) -> ClipFeatures:
    levels = tuple(level.float() for level in features.levels)
    return ClipFeatures(levels, features.mask_features.float(), features.frame_indices, features.padded_size)


def queries_in_float32(queries: PromptQueries) -> PromptQueries:
    tokens = queries.tokens
    assert tokens.positions is not None
    return replace(
        queries,
        content=queries.content.float(),
        position=queries.position.float(),
        tokens=PromptTokens(tokens.features.float(), tokens.positions.float(), tokens.is_padding),
    )


def test_in_tiles_an_object_is_the_same_to_the_last_bit_whoever_is_beside_it() -> None:
    features, real = in_float32(clip()), prompts()
    few = tiled(features, queries_in_float32(real)).mask_logits
    many = tiled(features, queries_in_float32(joined(real, prompts(number=7, seed=9), is_padding=False)))
    assert torch.equal(few, many.mask_logits[:, :3])


def test_in_tiles_a_video_is_the_same_to_the_last_bit_whichever_is_beside_it() -> None:
    one, queries = in_float32(clip()), queries_in_float32(prompts())
    other = in_float32(clip(seed=5))
    both = ClipFeatures(
        tuple(torch.cat(pair) for pair in zip(one.levels, other.levels, strict=True)),
        torch.cat([one.mask_features, other.mask_features]),
        torch.cat([one.frame_indices, other.frame_indices]),
        one.padded_size,
    )
    twice = queries_in_float32(prompts(batch=2))
    assert twice.tokens.positions is not None
    assert queries.tokens.positions is not None
    together = tiled(both, replace(twice, content=torch.cat([queries.content, twice.content[1:]])))
    assert together.mask_logits.shape[0] == 2
    alone = tiled(other, _second(twice))
    assert torch.equal(together.mask_logits[1:], alone.mask_logits)


def _second(queries: PromptQueries) -> PromptQueries:
    tokens = queries.tokens
    assert tokens.positions is not None
    return replace(
        queries,
        content=queries.content[1:],
        position=queries.position[1:],
        tokens=PromptTokens(tokens.features[1:], tokens.positions[1:], tokens.is_padding[1:]),
        is_padding=queries.is_padding[1:],
    )


def test_tiles_equal_one_pass() -> None:
    features, queries = in_float32(clip()), queries_in_float32(prompts(number=6))
    network = decoder().float()
    whole = network(
        network.project(features), queries, use_learnable=True, self_attention=SelfAttention.BLOCKED, options=ALL
    )
    parts = tiled(features, queries, use_learnable=True)
    assert parts.num_learnable == whole.num_learnable == 8
    torch.testing.assert_close(parts.embeddings, whole.embeddings, rtol=0, atol=1e-4)
    assert len(parts.auxiliary) == len(whole.auxiliary) == 3
