from dataclasses import replace

import pytest
import torch
from torch import Tensor

from univs.config import PixelDecoderConfig, UniVSConfig, tiny
from univs.pixel_decoder import PixelDecoder

STRIDES = ((32, 16, 8), (32, 16), (32,))
every_setting = pytest.mark.parametrize("deformable_strides", STRIDES)


def config_with(deformable_strides: tuple[int, ...], *, is_separable: bool = False) -> UniVSConfig:
    settings = PixelDecoderConfig(
        num_layers=2,
        num_heads=2,
        ffn_dim=32,
        norm_groups=4,
        deformable_strides=deformable_strides,
        is_separable=is_separable,
    )
    return replace(tiny(), pixel_decoder=settings)


def maps_for(config: UniVSConfig, size: tuple[int, int], batch: int = 1) -> tuple[Tensor, ...]:
    torch.manual_seed(1)
    return tuple(
        torch.randn(batch, channels, size[0] // stride, size[1] // stride, dtype=torch.float64)
        for channels, stride in zip(config.backbone.channels, (4, 8, 16, 32), strict=True)
    )


def build(config: UniVSConfig) -> PixelDecoder:
    torch.manual_seed(0)
    return PixelDecoder(config).double().eval()


@every_setting
@pytest.mark.parametrize("is_separable", [False, True])
@torch.no_grad()
def test_gives_three_levels_and_stride_four(deformable_strides: tuple[int, ...], is_separable: bool) -> None:
    config = config_with(deformable_strides, is_separable=is_separable)
    levels, mask_features = build(config)(maps_for(config, (64, 96)))
    assert [tuple(level.shape) for level in levels] == [(1, 16, 2, 3), (1, 16, 4, 6), (1, 16, 8, 12)]
    assert mask_features.shape == (1, 16, 16, 24)


@every_setting
@torch.no_grad()
def test_frames_do_not_see_each_other(deformable_strides: tuple[int, ...]) -> None:
    config = config_with(deformable_strides)
    decoder = build(config)
    features = maps_for(config, (64, 96), batch=3)
    levels, mask_features = decoder(features)
    for index in range(3):
        alone_levels, alone = decoder(tuple(map_[index : index + 1] for map_ in features))
        assert torch.allclose(mask_features[index], alone[0], atol=1e-10)
        for level, alone_level in zip(levels, alone_levels, strict=True):
            assert torch.allclose(level[index], alone_level[0], atol=1e-10)


@every_setting
def test_gradients_reach_every_weight(deformable_strides: tuple[int, ...]) -> None:
    config = config_with(deformable_strides)
    decoder = build(config).train()
    for layer in decoder.layers:
        torch.nn.init.normal_(layer.attention.offsets.weight)  # type: ignore[union-attr, arg-type]  # zero at the start
    levels, mask_features = decoder(maps_for(config, (64, 96)))
    (mask_features.square().mean() + torch.stack([level.square().mean() for level in levels]).sum()).backward()
    assert [name for name, parameter in decoder.named_parameters() if parameter.grad is None] == []


@torch.no_grad()
def test_autocast_does_not_lower_the_precision() -> None:
    config = config_with((32, 16, 8))
    decoder = build(config).float()
    features = tuple(map_.float() for map_ in maps_for(config, (64, 96)))
    expected = decoder(features)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = decoder(features)[1]
    assert got.dtype is torch.float32
    assert torch.equal(got, expected)
