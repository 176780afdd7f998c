from dataclasses import replace

import pytest
import torch
from tests.model.mask_decoder.scenes import CHANNELS, TEXT, clip, decoder, prompts
from torch.nn import functional

from univs.layers.attention import AttentionLayer
from univs.mask_decoder import DecodeOptions, SelfAttention
from univs.mask_decoder.image_attention import attend_image, project_image, shrink
from univs.mask_decoder.separation import QueryGroup
from univs.types import PromptKind


def test_gradients_reach_features_tokens_and_every_weight() -> None:
    network = decoder().train().requires_grad_(True)
    features, queries = clip(), prompts()
    features.mask_features.requires_grad_()
    queries.tokens.features.requires_grad_()
    table = torch.randn(3, TEXT, dtype=torch.float64)
    options = DecodeOptions(with_auxiliary=True)
    prediction = network(network.project(features), queries, use_learnable=True, class_table=table, options=options)
    losses = [part.mask_logits.square().mean() for part in (*prediction.auxiliary, prediction)]
    assert prediction.class_logits is not None
    (torch.stack(losses).sum() + prediction.class_logits.sum()).backward()
    assert features.mask_features.grad is not None
    assert queries.tokens.features.grad is not None
    without = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert without == ["level_embedding"]  # added where frames are encoded


def test_own_pixel_embedding_equal_to_the_shared_one_changes_nothing() -> None:
    network, features, queries = decoder(), clip(), prompts()
    image = network.project(features)
    shared = network(image, queries, use_learnable=True)
    own = features.mask_features[:, None].expand(-1, 3, -1, -1, -1, -1)
    separate = network(image, replace(queries, mask_features=own), use_learnable=True)
    torch.testing.assert_close(shared.mask_logits, separate.mask_logits, rtol=0, atol=1e-9)


def test_own_pixel_embedding_changes_its_object_only() -> None:
    network, features, queries = decoder(), clip(), prompts()
    image = network.project(features)
    own = features.mask_features[:, None].repeat(1, 3, 1, 1, 1, 1)
    before = network(
        image,
        replace(queries, mask_features=own),
        use_learnable=False,
        self_attention=SelfAttention.BLOCKED,
    )
    own[:, 1] += torch.randn_like(own[:, 1])
    after = network(
        image,
        replace(queries, mask_features=own),
        use_learnable=False,
        self_attention=SelfAttention.BLOCKED,
    )
    change = (after.mask_logits - before.mask_logits).abs().amax(dim=(0, 2, 3, 4))
    assert change[0] == change[2] == 0
    assert change[1] > 1e-3


def test_shrinking_the_pixel_embedding_equals_shrinking_masks() -> None:
    maps = torch.randn(1, 2, CHANNELS, 48, 32, dtype=torch.float64)
    queries = torch.randn(1, 3, 2, CHANNELS, dtype=torch.float64)
    masks = torch.einsum("bqtc,btchw->bqthw", queries, maps)
    small = functional.interpolate(masks.flatten(0, 1), size=(12, 8), mode="bilinear", align_corners=False)
    ours = torch.einsum("bqtc,btchw->bqthw", queries, shrink(maps, (12, 8)))
    torch.testing.assert_close(ours.flatten(0, 1), small)


def test_a_query_looks_only_where_its_mask_is_and_everywhere_when_it_is_empty() -> None:
    layer = AttentionLayer(CHANNELS, num_heads=2).double()
    features = clip(num_frames=1)
    image = project_image([layer], features).layers[0]
    x = torch.randn(1, 1, 1, CHANNELS, dtype=torch.float64)
    group = QueryGroup(x, x, torch.zeros(1, 1, dtype=torch.bool), is_prompt=True)
    logits = torch.full((1, 1, 1, 6, 4), -1.0, dtype=torch.float64)
    everywhere = attend_image(layer, group, image, logits).x
    torch.testing.assert_close(everywhere, attend_image(layer, group, image, -logits).x)
    logits[..., 2, 3] = 1.0  # one cell: attention is its value
    seen = attend_image(layer, group, image, logits).x
    value = image.values[0, :, 2 * 4 + 3].flatten()
    torch.testing.assert_close(seen[0, 0, 0], layer.norm(x[0, 0, 0] + layer.output(value)))


def test_expressions_are_blocked_whatever_is_asked() -> None:
    network, features = decoder(), clip()
    expressions = replace(prompts(), kind=PromptKind.EXPRESSION)
    image = network.project(features)
    joint = network(image, expressions, use_learnable=False, self_attention=SelfAttention.NONE)
    blocked = network(image, expressions, use_learnable=False, self_attention=SelfAttention.BLOCKED)
    assert torch.equal(joint.mask_logits, blocked.mask_logits)


def test_permuting_frames_changes_masks_and_not_embeddings() -> None:
    network, features = decoder(), clip(num_frames=4)
    image, queries = network.project(features), prompts(num_frames=4)
    torch.manual_seed(3)
    permuted = network(image, queries, use_learnable=False, options=DecodeOptions(True, permute_frames=True))
    plain = network(image, queries, use_learnable=False, options=DecodeOptions(True))
    assert torch.equal(permuted.auxiliary[0].embeddings, plain.auxiliary[0].embeddings)
    assert not torch.equal(permuted.auxiliary[0].mask_logits, plain.auxiliary[0].mask_logits)


def test_nothing_to_decode_is_refused() -> None:
    network = decoder()
    with pytest.raises(ValueError, match="nothing to decode"):
        network(network.project(clip()), None, use_learnable=False)
