"""Small networks with weights by name, and what they answer: the numbers that `values.json` keeps.

The layouts are those of the published networks, only narrower, so that every rule that parity with the published code
has proven is held here as well, in seconds and without its fixtures. Write the numbers anew, after `make parity` has
passed, with: python -m tests.model.regression.cases
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from univs.config import (
    MaskDecoderConfig,
    PixelDecoderConfig,
    ResNetConfig,
    SwinConfig,
    UniVSConfig,
)
from univs.expression_decoding import EarlierMasks
from univs.inference.options import InferenceOptions, released_refvos, released_vos
from univs.inference.segmenter import VideoSegmenter
from univs.inference.stuff import StuffCategories
from univs.mask_decoder import DecodeOptions, SelfAttention
from univs.model import UniVS
from univs.prompt_encoder.queries import InitialQuery, QueryOptions
from univs.prompt_encoder.sampling import CellChoice
from univs.prompt_encoder.text import TextFeatures
from univs.prompt_encoder.visual import SamplerOptions, sample_masks
from univs.types import Clip, ClipFeatures, Frame, MaskPrompt, Prediction, Prompt, TextPrompt

PATH = Path(__file__).with_name("values.json")
SIZE = (70, 110)  # padded to 96 x 128
TEXTS = ("a man in black", "the other dog")


def drawn(name: str, *shape: int) -> Tensor:
    """Draw numbers that depend on a name and a shape alone; this generator is the same in every version of NumPy."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    return torch.from_numpy(random.standard_normal(shape))


def fill(module: nn.Module) -> None:
    """Give every tensor values by its name, at the scales of a trained network."""
    state = {}
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        values = drawn(name, *tensor.shape)
        if name.endswith("running_var"):
            values = values.abs() + 0.5
        elif tensor.dim() >= 2:
            values = values / tensor[0].numel() ** 0.5
        elif name.endswith("weight"):
            values = 1 + 0.1 * values
        elif tensor.dim() == 1:
            values = 0.1 * values
        else:
            values = 2.5 + 0.1 * values
        state[name] = values
    module.load_state_dict(state, strict=False)


def narrow(name: str, backbone: ResNetConfig | SwinConfig) -> UniVSConfig:
    """Give the published layout with few channels and layers."""
    return UniVSConfig(
        name=name,
        backbone=backbone,
        hidden_dim=32,
        text_dim=24,
        pixel_decoder=PixelDecoderConfig(num_layers=2, num_heads=4, ffn_dim=48, norm_groups=8),
        mask_decoder=MaskDecoderConfig(num_learnable=12, num_layers=3, num_heads=4, ffn_dim=48),
    )


CONFIGS = {
    "resnet": narrow("resnet", ResNetConfig(depths=(1, 2, 1, 1), width=8)),
    "swin": narrow("swin", SwinConfig(12, (2, 2, 2, 2), (1, 2, 3, 4), window_size=7)),
}


class DrawnTexts:
    """A text encoder whose features depend on the text alone."""

    def __init__(self, text_dim: int) -> None:
        self.text_dim = text_dim

    def encode(self, texts: list[str]) -> TextFeatures:
        words = torch.stack([drawn(text, 5, self.text_dim) for text in texts])
        return TextFeatures(words.mean(dim=1), words)

    def encode_names(self, names: list[str]) -> Tensor:
        return torch.stack([drawn(name, self.text_dim) for name in names])


@cache
def network(name: str) -> UniVS:
    model = UniVS(CONFIGS[name]).double().eval().requires_grad_(False)
    fill(model)
    model.text_encoder = DrawnTexts(model.config.text_dim)
    return model


def images(count: int) -> Tensor:
    """Give smooth pictures that move: uint8 [T, 3, H, W]."""
    noise = torch.nn.functional.interpolate(drawn("pictures", 1, 3, 9, 13), size=SIZE, mode="bicubic")
    base = noise[0] * 60 + 128
    return torch.stack([base.roll(3 * index, dims=2).clamp(0, 255).to(torch.uint8) for index in range(count)])


@cache
def features(name: str) -> ClipFeatures:
    return network(name).encode_frames(images(2)[None], torch.arange(2)[None])


def mask(left: int, size: tuple[int, int] = (96, 128)) -> Tensor:
    shown = torch.zeros(size, dtype=torch.bool)
    shown[12:52, left : left + 36] = True
    return shown


def summary(answer: Tensor) -> list[float]:
    """Say of a tensor its mean, its root mean square, and its product with a wave, which knows every place in it."""
    flat = answer.double().flatten()
    wave = torch.cos(torch.arange(len(flat), dtype=torch.float64))
    return [float(number) for number in (flat.mean(), flat.square().mean().sqrt(), (flat * wave).mean())]


def _encoded(name: str) -> dict[str, Tensor]:
    maps = network(name).backbone(drawn("pixels", 1, 3, 96, 128))
    found = {f"res{level}": one for level, one in enumerate(maps, start=2)}
    clip = features(name)
    return found | {f"level{index}": level for index, level in enumerate(clip.levels)} | {"F4": clip.mask_features}


def _of(prediction: Prediction) -> dict[str, Tensor]:
    found = {"masks": prediction.mask_logits, "embeddings": prediction.embeddings}
    return found if prediction.class_logits is None else found | {"classes": prediction.class_logits}


def _learnable(name: str) -> dict[str, Tensor]:
    table = drawn("table", 7, network(name).config.text_dim)
    return _of(network(name).decode(features(name), None, use_learnable=True, class_table=table))


def _masks(name: str, query: InitialQuery, self_attention: SelfAttention) -> dict[str, Tensor]:
    clip, model = features(name), network(name)
    shown = torch.stack([mask(10), mask(70)])[None]
    options = SamplerOptions(16, 0, CellChoice.RASTER)
    tokens = sample_masks(clip.levels[-1][:, 0], shown, torch.tensor([0]), options).foreground
    prompts = model.visual_queries(tokens, clip.frame_indices, None, QueryOptions(query))
    return _of(model.decode(clip, prompts, use_learnable=True, self_attention=self_attention))


def _expressions(name: str, *, average: bool) -> dict[str, Tensor]:
    clip, model = features(name), network(name)
    found = model.encode_text(TEXTS)
    nothing = torch.zeros(1, 2, dtype=torch.bool)
    prompts = model.text_queries.expressions(clip, found.sentences[None], found.words[None], nothing)
    options = DecodeOptions(average_with_learnable=average)
    return _of(model.decode(clip, prompts, use_learnable=True, class_table=found.sentences[None], options=options))


def _categories(name: str) -> dict[str, Tensor]:
    clip, model = features(name), network(name)
    names = model.encode_names(["dog", "cat", "sky"])[None]
    prompts = model.text_queries.categories(clip, names, torch.zeros(1, 3, dtype=torch.bool))
    return _of(model.decode(clip, prompts, use_learnable=True, class_table=names[0]))


def _stream(
    name: str, options: InferenceOptions, prompts: list[Prompt], stuff: StuffCategories | None = None
) -> dict[str, Tensor]:
    segmenter = VideoSegmenter(network(name), options, SIZE, stuff)
    for prompt in prompts:
        segmenter.add_prompt(prompt)
    frames = [Frame(index, index, Fraction(1, 25), image) for index, image in enumerate(images(5))]
    results = segmenter.step(Clip(tuple(frames)))
    found = {"embeddings": torch.stack([track.embeddings for track in segmenter.tracks])}
    found["logits"] = torch.stack([track.logits for track in segmenter.tracks if track.logits is not None])
    results += segmenter.finish()
    answers = [[one.area_fraction, one.score] for result in results for one in result.objects]
    return found | {"answers": torch.tensor(answers, dtype=torch.float64)}


def _given() -> list[Prompt]:
    return [MaskPrompt(1, 0, mask(10, SIZE)), MaskPrompt(2, 0, mask(60, SIZE)), MaskPrompt(3, 2, mask(40, SIZE))]


def _texts() -> list[Prompt]:
    return [TextPrompt(number, text) for number, text in enumerate(TEXTS, start=1)]


def _small(options: InferenceOptions) -> InferenceOptions:
    return replace(options, clip_length=3, short_side_px=70, tokens_per_frame=16, memory_frames=3)


CASES: Mapping[str, Callable[[], dict[str, Tensor]]] = {
    "resnet: features": lambda: _encoded("resnet"),
    "swin: features": lambda: _encoded("swin"),
    "resnet: learnable queries": lambda: _learnable("resnet"),
    "swin: learnable queries": lambda: _learnable("swin"),
    "resnet: masks, latest": lambda: _masks("resnet", InitialQuery.LATEST, SelfAttention.SEPARATE),
    "resnet: masks, pool, blocked": lambda: _masks("resnet", InitialQuery.POOL, SelfAttention.BLOCKED),
    "resnet: expressions": lambda: _expressions("resnet", average=False),
    "resnet: expressions, averaged": lambda: _expressions("resnet", average=True),
    "resnet: categories": lambda: _categories("resnet"),
    "stream: VOS": lambda: _stream("resnet", _small(released_vos()), _given()),
    "stream: RefVOS": lambda: _stream("resnet", _small(released_refvos()), _texts()),
    "stream: RefVOS with places": lambda: _stream(
        "resnet", replace(_small(released_refvos()), earlier_masks=EarlierMasks.PLACES), _texts()
    ),
    "stream: PVOS": lambda: _stream(
        "resnet", _small(released_vos()), _given(), StuffCategories(drawn("table", 7, 24), {2: 3})
    ),
}


def computed(case: str) -> dict[str, list[float]]:
    """Give the numbers of one case."""
    with torch.inference_mode():
        return {name: summary(answer) for name, answer in CASES[case]().items()}


if __name__ == "__main__":
    PATH.write_text(json.dumps({case: computed(case) for case in CASES}, indent=1) + "\n", encoding="utf-8")
