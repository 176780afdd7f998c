import pytest
import torch
from tests.model.parity.fixtures import (
    assert_close,
    assert_equal,
    fill,
    needs_fixtures,
    normalised,
    published_shapes,
    read,
)
from torch import nn

from univs.backbones import build_backbone
from univs.config import UniVSConfig, r50, swin_b, swin_l, swin_t
from univs.convert import published_key
from univs.layers.norm import fold_norms
from univs.pixel_decoder import PixelDecoder

pytestmark = needs_fixtures

VARIANTS = {"r50": r50(), "swint": swin_t(), "swinb": swin_b(), "swinl": swin_l()}
NETWORKS = pytest.mark.parametrize(("name", "config"), [("r50", r50()), ("swint", swin_t())])


@pytest.mark.parametrize("name", VARIANTS)
def test_every_published_tensor_has_one_of_ours_with_its_shape(name: str) -> None:
    config = VARIANTS[name]
    with torch.device("meta"):
        ours = nn.ModuleDict({"backbone": build_backbone(config.backbone), "pixel_decoder": PixelDecoder(config)})
    shapes = {published_key(key): tuple(tensor.shape) for key, tensor in ours.state_dict().items()}
    expected = {
        key: shape
        for key, shape in published_shapes(name).items()
        if key.startswith(("backbone.", "sem_seg_head.pixel_decoder."))
    }
    assert shapes == expected


@NETWORKS
def test_backbone_equals_the_published_one(name: str, config: UniVSConfig) -> None:
    fixture = read(f"backbone_{name}")
    backbone = fill(build_backbone(config.backbone), "backbone.")
    with torch.inference_mode():
        maps = backbone(normalised(fixture["image_uint8"]))
    for index, got in enumerate(maps):
        assert_equal(got, fixture[f"res{index + 2}"])


@NETWORKS
def test_backbone_for_inference_is_close_in_float32(name: str, config: UniVSConfig) -> None:
    fixture = read(f"backbone_{name}")
    backbone = fill(build_backbone(config.backbone), "backbone.", torch.float32)
    fold_norms(backbone)
    backbone.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        maps = backbone(normalised(fixture["image_uint8"], torch.float32).contiguous(memory_format=torch.channels_last))
    for index, got in enumerate(maps):
        assert_close(got, fixture[f"res{index + 2}"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_pixel_decoder_equals_the_published_one_on_resnet(dtype: torch.dtype) -> None:
    fixture = read("pixel_decoder_r50")
    config = r50()
    backbone = fill(build_backbone(config.backbone), "backbone.", dtype)
    decoder = fill(PixelDecoder(config), "pixel_decoder.", dtype)
    with torch.inference_mode():
        levels, mask_features = decoder(backbone(normalised(fixture["images_uint8"], dtype)))
    check = assert_equal if dtype is torch.float64 else assert_close
    check(mask_features, fixture["mask_features"])
    for got, key in zip(levels, ("ms0_stride32", "ms1_stride16", "ms2_stride8"), strict=True):
        check(got, fixture[key])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_pixel_decoder_equals_the_published_one_on_swin(dtype: torch.dtype) -> None:
    fixture = read("pixel_decoder_swint")
    image = read("backbone_swint")["image_uint8"]
    config = swin_t()
    backbone = fill(build_backbone(config.backbone), "backbone.", dtype)
    decoder = fill(PixelDecoder(config), "pixel_decoder.", dtype)
    with torch.inference_mode():
        levels, mask_features = decoder(backbone(normalised(image, dtype)))
    check = assert_equal if dtype is torch.float64 else assert_close
    check(mask_features[:, :64], fixture["mask_features_first64"])
    for index, got in enumerate(levels):
        check(got, fixture[f"ms{index}"])
