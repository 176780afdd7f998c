"""Ablations of how prompts enter the network: each changes what it says, and nothing else."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model.mask_decoder.scenes import CHANNELS, TEXT, clip, joined, prompts
from torch import Tensor

from univs.config import PromptingConfig, SelfAttention, TokenPath, UniVSConfig, nano, tiny
from univs.config_json import config_from_json, config_to_json
from univs.mask_decoder import DecodeOptions, MaskDecoder
from univs.model import UniVS
from univs.prompt_encoder.tokens import VisualTokens
from univs.types import ClipWords, Prediction, PromptQueries

ALL = DecodeOptions(with_auxiliary=True)
BLOCKED, SEPARATE, NONE = SelfAttention.BLOCKED, SelfAttention.SEPARATE, SelfAttention.NONE
SEEM = PromptingConfig(tokens=TokenPath.SELF_ATTENTION)


def decoder(prompting: PromptingConfig | None = None) -> MaskDecoder:
    """Give decoders of equal weights."""
    torch.manual_seed(0)
    network = MaskDecoder(CHANNELS, TEXT, tiny().mask_decoder, prompting)
    return network.double().eval().requires_grad_(False)


def decode(
    prompting: PromptingConfig | None,
    queries: PromptQueries,
    mode: SelfAttention = BLOCKED,
    *,
    use_learnable: bool = False,
) -> Prediction:
    network = decoder(prompting)
    features = clip(batch=len(queries.content))
    prediction: Prediction = network(
        network.project(features), queries, use_learnable=use_learnable, self_attention=mode, options=ALL
    )
    return prediction


def network(prompting: PromptingConfig | None = None) -> UniVS:
    """Give tiny networks whose weights are equal, but for those that only one of them has."""
    torch.manual_seed(1)
    base = UniVS(tiny()).eval().requires_grad_(False)
    if prompting is None:
        return base
    other = UniVS(replace(tiny(), prompting=prompting)).eval().requires_grad_(False)
    other.load_state_dict(base.state_dict(), strict=not prompting.early_fusion)
    return other


def with_tokens(queries: PromptQueries, features: Tensor) -> PromptQueries:
    return replace(queries, tokens=replace(queries.tokens, features=features))


def assert_equal(left: Prediction, right: Prediction) -> None:
    """Compare every layer, to the last bit."""
    for one, other in zip([*left.auxiliary, left], [*right.auxiliary, right], strict=True):
        assert torch.equal(one.mask_logits, other.mask_logits)
        assert torch.equal(one.embeddings, other.embeddings)


def change(left: Prediction, right: Prediction) -> float:
    return float((left.embeddings - right.embeddings).abs().max())


def test_a_network_without_ablations_is_described_as_before() -> None:
    for build in (tiny, nano):
        text = config_to_json(build())
        assert "prompting" not in text
        assert config_from_json(text) == build()


prompting_configs = st.builds(
    PromptingConfig,
    are_queries=st.booleans(),
    tokens=st.sampled_from([TokenPath.CROSS_ATTENTION, TokenPath.SELF_ATTENTION]),
    self_attention=st.sampled_from([None, *SelfAttention]),
    early_fusion=st.booleans(),
)


@given(prompting=prompting_configs)
def test_an_ablation_is_described_and_read_again(prompting: PromptingConfig) -> None:
    config = replace(tiny(), prompting=prompting)
    back = config_from_json(config_to_json(config))
    assert back == config
    assert isinstance(back, UniVSConfig)
    assert isinstance(back.prompting.tokens, TokenPath)


def test_prompts_need_a_way_into_the_network() -> None:
    with pytest.raises(ValueError, match="way for prompts"):
        PromptingConfig(are_queries=False, tokens=TokenPath.NOWHERE)


@settings(max_examples=10, deadline=None)
@given(prompting=prompting_configs)
def test_ablations_name_the_same_parameters_but_for_early_fusion(prompting: PromptingConfig) -> None:
    names = set(network(prompting).state_dict())
    added = {name for name in names if name.startswith("pixel_decoder.fusion.")}
    assert bool(added) is prompting.early_fusion
    assert names - added == set(network().state_dict())


def test_the_default_is_the_network_as_it_was() -> None:
    assert_equal(decode(None, prompts()), decode(PromptingConfig(), prompts()))


@pytest.mark.parametrize("mode", [SEPARATE, BLOCKED])
def test_a_fixed_self_attention_is_the_one_a_caller_could_ask_for(mode: SelfAttention) -> None:
    fixed = PromptingConfig(self_attention=mode)
    for asked in (SEPARATE, BLOCKED):
        assert_equal(decode(fixed, prompts(), asked), decode(None, prompts(), mode))


@pytest.mark.parametrize("mode", [NONE, SelfAttention.PROMPTS_SEE_LEARNABLE])
def test_prompts_that_see_learnable_queries_do_so_even_when_nobody_asks_for_these(mode: SelfAttention) -> None:
    fixed = PromptingConfig(self_attention=mode)
    asked = decode(None, prompts(), mode, use_learnable=True)
    found = decode(fixed, prompts(), BLOCKED)
    assert (found.num_learnable, asked.num_learnable) == (0, 8)
    torch.testing.assert_close(found.mask_logits, asked.mask_logits[:, 8:], rtol=0, atol=1e-12)
    for layer, other in zip(found.auxiliary, asked.auxiliary, strict=True):
        torch.testing.assert_close(layer.mask_logits, other.mask_logits[:, 8:], rtol=0, atol=1e-12)
    assert change(found, decode(None, prompts(), SEPARATE)) > 1e-3


def test_without_any_token_path_tokens_change_nothing_and_initial_queries_do() -> None:
    nowhere, real = PromptingConfig(tokens=TokenPath.NOWHERE), prompts()
    other = with_tokens(real, torch.randn_like(real.tokens.features))
    assert_equal(decode(nowhere, real), decode(nowhere, other))
    assert change(decode(nowhere, real), decode(nowhere, replace(real, content=real.content * 1.5))) > 1e-3


@pytest.mark.parametrize("mode", [SEPARATE, BLOCKED, NONE])
def test_tokens_in_the_self_attention_are_seen_but_their_padding_is_not(mode: SelfAttention) -> None:
    real = prompts()
    other = with_tokens(real, torch.randn_like(real.tokens.features))
    assert change(decode(SEEM, real, mode), decode(SEEM, other, mode)) > 1e-3
    padded = joined(real, prompts(number=2, seed=9), is_padding=True)
    found, expected = decode(SEEM, padded, mode), decode(SEEM, real, mode)
    torch.testing.assert_close(found.mask_logits[:, :3], expected.mask_logits, rtol=0, atol=1e-9)


def test_blocked_prompts_see_only_their_own_tokens() -> None:
    real = prompts()
    features = real.tokens.features.clone()
    features[:, 2] += 1
    before, after = decode(SEEM, real), decode(SEEM, with_tokens(real, features))
    torch.testing.assert_close(before.embeddings[:, :2], after.embeddings[:, :2], rtol=0, atol=1e-12)
    assert float((before.embeddings[:, 2] - after.embeddings[:, 2]).abs().max()) > 1e-3
    joint = decode(SEEM, with_tokens(real, features), SEPARATE).embeddings - decode(SEEM, real, SEPARATE).embeddings
    assert float(joint[:, :2].abs().max()) > 1e-3


def test_learnable_queries_see_tokens_only_where_nothing_is_separated() -> None:
    real = prompts()
    other = with_tokens(real, torch.randn_like(real.tokens.features))
    for mode, sees in ((SEPARATE, False), (BLOCKED, False), (NONE, True)):
        left, right = (decode(SEEM, queries, mode, use_learnable=True) for queries in (real, other))
        assert (float((left.embeddings - right.embeddings)[:, :8].abs().max()) > 1e-3) is sees


def _visual_tokens(seed: int) -> VisualTokens:
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randint(0, 96, (1, 2, 3, 4), generator=generator)
    times = torch.arange(3).expand(1, 2, 3)
    return VisualTokens(torch.randn(1, 2, 3, 4, 16, generator=generator), cells, times, times, (8, 12))


def test_prompts_that_are_no_queries_all_begin_alike() -> None:
    model = network(PromptingConfig(are_queries=False))
    frame_indices = torch.tensor([[2, 3]])
    one, other = (model.visual_queries(_visual_tokens(seed), frame_indices) for seed in (0, 1))
    assert torch.equal(one.content, model.visual_queries.task.expand_as(one.content))
    assert torch.equal(one.content, other.content)
    assert not one.position.any()
    assert not torch.equal(one.tokens.features, other.tokens.features)
    queries = network().visual_queries(_visual_tokens(0), frame_indices)
    assert torch.equal(one.tokens.features, queries.tokens.features)


def test_texts_that_are_no_queries_all_begin_alike() -> None:
    features = network().encode_frames(torch.zeros(1, 1, 3, 64, 64), torch.zeros(1, 1, dtype=torch.int64))
    names, nothing = torch.randn(1, 3, 32), torch.zeros(1, 3, dtype=torch.bool)
    ablated = network(PromptingConfig(are_queries=False)).text_queries.categories(features, names, nothing)
    usual = network().text_queries.categories(features, names, nothing)
    assert torch.equal(ablated.content[:, 0], ablated.content[:, 1])
    assert not torch.equal(usual.content[:, 0], usual.content[:, 1])
    assert torch.equal(ablated.tokens.features, usual.tokens.features)


def _words(number: int = 4, num_padding: int = 0) -> ClipWords:
    features = torch.randn(2, number + num_padding, 32, generator=torch.Generator().manual_seed(3))
    is_padding = torch.arange(number + num_padding).expand(2, -1) >= number
    return ClipWords(features, is_padding)


def _levels(model: UniVS, words: ClipWords | None) -> Tensor:
    images = torch.randint(0, 255, (2, 2, 3, 64, 96), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    features = model.encode_frames(images, torch.zeros(2, 2, dtype=torch.int64), words)
    return torch.cat([level.flatten() for level in (*features.levels, features.mask_features)])


def test_early_fusion_moves_pixels_by_words_and_is_silent_without() -> None:
    fused, usual = network(PromptingConfig(early_fusion=True)), network()
    assert torch.equal(_levels(fused, None), _levels(usual, None))
    assert torch.equal(_levels(usual, _words()), _levels(usual, None))
    moved = _levels(fused, _words())
    assert float((moved - _levels(fused, None)).abs().max()) > 1e-3
    torch.testing.assert_close(_levels(fused, _words(4, num_padding=3))[:100], _levels(fused, _first_four())[:100])
    nothing = replace(_words(), is_padding=torch.ones(2, 4, dtype=torch.bool))
    assert torch.equal(_levels(fused, nothing), _levels(fused, None))


def _first_four() -> ClipWords:
    whole = _words(4, num_padding=3)
    return ClipWords(whole.features[:, :4], whole.is_padding[:, :4])
