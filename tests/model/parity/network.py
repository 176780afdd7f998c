"""The whole network with the deterministic weights, and clips of the fixtures."""

import json
from functools import cache

import torch
from tests.model.parity.fixtures import FOLDER, fill_rule, read
from torch import Tensor

from univs.config import UniVSConfig, r50, swin_b, swin_l, swin_t
from univs.convert import Conversion, convert_published
from univs.model import UniVS
from univs.types import ClipFeatures

VARIANTS = {"r50": r50(), "swint": swin_t(), "swinb": swin_b(), "swinl": swin_l()}


def layout(name: str, part: str = "state_dict") -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published file."""
    entries = json.loads((FOLDER / f"keys_{name}.json").read_text())[part]
    return {key: tuple(entry["shape"]) for key, entry in entries.items()}


def filled(names: dict[str, tuple[int, ...]], prefix: str = "") -> dict[str, Tensor]:
    """Give every name the value of the fill rule."""
    value_of = fill_rule()
    return {
        name: torch.zeros(shape, dtype=torch.int64)
        if name.endswith("relative_position_index")
        else torch.from_numpy(value_of(prefix + name, shape))
        for name, shape in names.items()
    }


def converted(name: str, config: UniVSConfig) -> tuple[UniVS, Conversion]:
    """Bring a checkpoint made by the fill rule to our network, as a published one would be."""
    model = UniVS(config)
    conversion = convert_published(filled(layout(name)), model.state_dict())
    model.load_state_dict(conversion.state, strict=False)
    return model, conversion


def network(name: str, dtype: torch.dtype = torch.float64) -> UniVS:
    """Build a variant, once for all tests."""
    return _network(name, dtype)


def clip(name: str, dtype: torch.dtype = torch.float64) -> ClipFeatures:
    """Encode the frames of the decoder fixtures, once for all tests."""
    return _clip(name, dtype)


@cache
def class_table(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.from_numpy(fill_rule()("clip_cls_text_emb", (3938, 640))).to(dtype)


@cache
def _network(name: str, dtype: torch.dtype) -> UniVS:
    model, _ = converted(name, VARIANTS[name])
    model.to(dtype).eval().requires_grad_(False)
    pixels = VARIANTS[name].pixels  # 123.675 is another number in float32, which is all that a float64 run would see
    model.pixel_mean = torch.tensor(pixels.mean, dtype=dtype).view(3, 1, 1)
    model.pixel_std = torch.tensor(pixels.std, dtype=dtype).view(3, 1, 1)
    return model


@cache
def _clip(name: str, dtype: torch.dtype) -> ClipFeatures:
    images = read("pixel_decoder_r50")["images_uint8"]  # [2, H, W, 3]
    if name == "swint":
        images = read("backbone_swint")["image_uint8"]
    frames = images.permute(0, 3, 1, 2)[None]
    return network(name, dtype).encode_frames(frames, torch.arange(len(images))[None])
