import pytest
import torch
from torch import Tensor, nn

from univs.backbones import build_backbone
from univs.backbones.efficientnet_lite import EfficientNetLite, imagenet_names, read_imagenet
from univs.backbones.swin import Swin, WindowAttention
from univs.config import BackboneConfig, EfficientNetLiteConfig, ResNetConfig, SwinConfig
from univs.layers.norm import fold_norms

SMALL: dict[str, BackboneConfig] = {
    "resnet": ResNetConfig(depths=(1, 2, 1, 1), width=8),
    "swin": SwinConfig(8, (2, 2, 2, 2), (1, 2, 2, 4), window_size=4),
    "efficientnet": EfficientNetLiteConfig(width=0.25, depth=0.5, pretrained=False),
}
every_backbone = pytest.mark.parametrize("name", SMALL)


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_backbone(SMALL[name]).double().eval()


@every_backbone
@pytest.mark.parametrize("size", [(64, 96), (32, 32), (50, 75), (33, 31)])
@torch.no_grad()
def test_maps_have_the_strides_and_channels_promised(name: str, size: tuple[int, int]) -> None:
    maps = build(name)(torch.randn(1, 3, *size, dtype=torch.float64))
    for level, channels, stride in zip(maps, SMALL[name].channels, (4, 8, 16, 32), strict=True):
        assert level.shape == (1, channels, -(-size[0] // stride), -(-size[1] // stride))
        assert level.isfinite().all()


@every_backbone
@torch.no_grad()
def test_batch_equals_single(name: str) -> None:
    backbone = build(name)
    images = torch.randn(3, 3, 64, 96, dtype=torch.float64)
    together = backbone(images)
    for index in range(3):
        for level, alone in zip(together, backbone(images[index : index + 1]), strict=True):
            assert torch.allclose(level[index], alone[0], atol=1e-10)


@every_backbone
@torch.no_grad()
def test_folding_and_layout_change_nothing(name: str) -> None:
    backbone = build(name)
    for key, tensor in backbone.state_dict().items():
        if "running" in key:
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    images = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    expected = backbone(images)
    fold_norms(backbone)
    backbone.to(memory_format=torch.channels_last)
    for got, level in zip(backbone(images.contiguous(memory_format=torch.channels_last)), expected, strict=True):
        assert torch.allclose(got, level, atol=1e-9)


@every_backbone
def test_gradients_reach_every_weight(name: str) -> None:
    backbone = build(name).train()
    maps: tuple[Tensor, ...] = backbone(torch.randn(2, 3, 64, 64, dtype=torch.float64))
    sum(level.square().mean() for level in maps).backward()  # type: ignore[union-attr]  # a sum of tensors is one
    missing = [key for key, parameter in backbone.named_parameters() if parameter.grad is None]
    assert missing == []


@torch.no_grad()
def test_window_attention_equals_scores_written_out() -> None:
    torch.manual_seed(0)
    attention = WindowAttention(6, num_heads=2, window_size=2).double()
    attention.bias_table.normal_()
    windows = torch.randn(2, 4, 6, dtype=torch.float64)
    query, key, value = attention.query_key_value(windows).view(2, 4, 3, 2, 3).unbind(2)  # [N, M, heads, d]
    scores = torch.einsum("nihd,njhd->nhij", query, key) / 3**0.5
    for i in range(4):
        for j in range(4):
            row, column = i // 2 - j // 2 + 1, i % 2 - j % 2 + 1
            scores[:, :, i, j] += attention.bias_table[row * 3 + column]
    expected = attention.output(torch.einsum("nhij,njhd->nihd", scores.softmax(-1), value).flatten(2))
    assert torch.allclose(attention(windows, None), expected)


@torch.no_grad()
def test_shifted_windows_do_not_look_across_the_border() -> None:
    """Cells of the first and the last row share a shifted window, but neither sees the other."""
    torch.manual_seed(0)
    block = Swin(SwinConfig(8, (2, 1, 1, 1), (2, 2, 2, 2), window_size=4)).double().eval().stages[0][1]  # type: ignore[index]
    x = torch.randn(1, 8, 8, 8, dtype=torch.float64)
    changed = x.clone()
    changed[:, 0] += 1.0
    moved = (block(changed) - block(x)).abs().amax(dim=(0, 2, 3))  # per row
    assert moved[0] > 1e-3
    assert moved[2:].max() < 1e-9


def test_imagenet_weights_need_the_full_size() -> None:
    with pytest.raises(ValueError, match="pretrained=False"):
        build_backbone(EfficientNetLiteConfig(width=0.5))


def test_every_imagenet_tensor_but_the_head_is_used() -> None:
    backbone = EfficientNetLite(EfficientNetLiteConfig(pretrained=False))
    used = set(imagenet_names(backbone).values())
    rest = {name for name in read_imagenet() if name not in used and not name.endswith("num_batches_tracked")}
    assert {name.split(".")[0] for name in rest} == {"_conv_head", "_bn1", "_fc"}


@torch.no_grad()
def test_imagenet_features_equal_those_of_the_package_they_come_from() -> None:
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]

    reference = EfficientNet.from_name("efficientnet-lite0").eval().double()
    reference.load_state_dict(read_imagenet())
    backbone = EfficientNetLite(EfficientNetLiteConfig()).eval().double()
    images = torch.randn(1, 3, 224, 224, dtype=torch.float64)
    x = torch.nn.functional.relu6(reference._bn0(reference._conv_stem(images)))
    expected = []
    for index, block in enumerate(reference._blocks):
        x = block(x)
        if index in (2, 4, 10, 15):
            expected.append(x)
    fold_norms(backbone)
    for got, level in zip(backbone(images), expected, strict=True):
        assert torch.allclose(got, level, rtol=1e-9, atol=1e-9)
