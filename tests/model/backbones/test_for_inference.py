import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from univs.backbones import EfficientNetLite, build_backbone
from univs.backbones.for_inference import OnnxBackbone, TorchBackbone, for_inference
from univs.config import BackboneConfig, EfficientNetLiteConfig, ResNetConfig, SwinConfig

SMALL = EfficientNetLiteConfig(width=0.25, depth=0.5, pretrained=False)


def build(config: EfficientNetLiteConfig = SMALL) -> EfficientNetLite:
    torch.manual_seed(0)
    backbone = EfficientNetLite(config).eval().requires_grad_(False)
    for key, tensor in backbone.state_dict().items():
        if "norm" in key:  # as far from the identity as a trained one
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    return backbone


def on_onnx(config: EfficientNetLiteConfig = SMALL) -> OnnxBackbone:
    backbone = for_inference(build(config))
    assert isinstance(backbone, OnnxBackbone)
    return backbone


def pictures(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("has_tail", [True, False])
def test_onnx_gives_the_maps_of_torch_for_every_size(has_tail: bool) -> None:
    config = replace(SMALL, has_tail=has_tail)
    torch_backbone, backbone = build(config), on_onnx(config)
    for size in [(64, 96), (32, 32), (96, 64), (50, 75), (33, 31), (1, 1)]:
        images = pictures(2, 3, *size)
        for got, expected in zip(backbone(images), torch_backbone(images), strict=True):
            assert got.shape == expected.shape
            assert (got - expected).norm() <= 1e-4 * expected.norm()


def test_a_picture_has_the_same_bits_in_any_batch_and_every_time() -> None:
    backbone, images = on_onnx(), pictures(3, 3, 64, 96)
    together = backbone(images)
    for index in range(3):
        for level, alone in zip(together, backbone(images[index : index + 1]), strict=True):
            assert torch.equal(level[index], alone[0])
    for level, again in zip(together, backbone(images), strict=True):
        assert torch.equal(level, again)


def test_maps_stay_as_they_are_while_others_are_computed() -> None:
    backbone = on_onnx()
    first = backbone(pictures(1, 3, 64, 96))
    kept = [level.clone() for level in first]
    backbone(-pictures(1, 3, 64, 96))
    assert all(torch.equal(level, before) for level, before in zip(first, kept, strict=True))


def test_layout_and_type_of_pictures_do_not_matter_and_maps_have_their_channels_last() -> None:
    backbone, images = on_onnx(), pictures(2, 3, 64, 96)
    for same in (images, images.contiguous(memory_format=torch.channels_last), images.double()):
        for got, expected in zip(backbone(same), backbone(images), strict=True):
            assert torch.equal(got, expected)
            assert got.is_contiguous(memory_format=torch.channels_last)


def test_no_picture_gives_empty_maps() -> None:
    assert [tuple(level.shape[2:]) for level in on_onnx()(pictures(0, 3, 64, 96))] == [
        (16, 24),
        (8, 12),
        (4, 6),
        (2, 3),
    ]


def test_weights_are_counted_as_before() -> None:
    folded = for_inference(build(), torch.bfloat16)
    assert sum(part.numel() for part in on_onnx().parameters()) == sum(part.numel() for part in folded.parameters())


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_torch_serves_where_a_package_is_missing(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    backbone, images = for_inference(build()), pictures(1, 3, 64, 96)
    assert isinstance(backbone, TorchBackbone)
    for got, expected in zip(backbone(images), build()(images), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "config", [ResNetConfig(depths=(1, 1, 1, 1), width=8), SwinConfig(8, (1, 1, 1, 1), (1, 2, 2, 4), window_size=4)]
)
def test_torch_serves_other_backbones(config: BackboneConfig) -> None:
    backbone = for_inference(build_backbone(config).eval().requires_grad_(False))
    assert isinstance(backbone, TorchBackbone)
    assert all(level.isfinite().all() for level in backbone(pictures(1, 3, 64, 96)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_torch_serves_other_precisions(dtype: torch.dtype) -> None:
    backbone = for_inference(build(), dtype)
    assert isinstance(backbone, TorchBackbone)
    assert all(level.dtype is dtype for level in backbone(pictures(1, 3, 64, 96)))
    wide = for_inference(build().double())
    assert isinstance(wide, TorchBackbone)
    assert wide(pictures(1, 3, 64, 96).double())[0].dtype is torch.float64
