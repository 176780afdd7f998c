"""A tiny network, categories and frames for the tests of entities."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from functools import cache

import torch

from univs.config import tiny
from univs.inference.entities.options import Answer, EntityOptions, paper_entities
from univs.inference.entities.segmenter import EntitySegmenter
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.model import UniVS
from univs.types import Clip, Frame, FrameResult
from univs.vocabularies import Vocabulary

SIZE = (70, 110)
ALL = tuple(Answer)
_CONTRAST = 20.0  # random weights give logits next to zero, whose masks are stable nowhere


@cache
def network(num_learnable: int = 8) -> UniVS:
    torch.manual_seed(5)
    config = replace(tiny(), memory=replace(tiny().memory, look_back_radius=0))  # streams of entities do not look back
    config = replace(config, mask_decoder=replace(config.mask_decoder, num_learnable=num_learnable))
    model = UniVS(config).optimize_for_inference()
    last = model.mask_decoder.heads.mask[4]
    assert isinstance(last, torch.nn.Linear)
    last.weight.mul_(_CONTRAST)
    last.bias.mul_(_CONTRAST)
    return model


def vocabulary(num_names: int = 5, num_padding: int = 0, seed: int = 0, prefix: str = "name") -> EncodedVocabulary:
    vectors = torch.randn(num_names + num_padding, 32, generator=torch.Generator().manual_seed(seed))
    names = tuple(f"{prefix} {row}" for row in range(num_names))
    return EncodedVocabulary(Vocabulary.of_names(names, [row % 2 == 0 for row in range(num_names)]), vectors)


def things(num_names: int = 5) -> EncodedVocabulary:
    words = vocabulary(num_names)
    return EncodedVocabulary(Vocabulary.of_names(words.names), words.vectors)


def credulous(options: EntityOptions | None = None) -> EntityOptions:
    """Give settings that believe a network with random weights: everything is an entity and stays one."""
    options = options or paper_entities(64)
    detection = replace(
        options.detection,
        minimum_quality=-1.0,
        first_score=-1.0,
        later_score=-1.0,
        box_overlap=2.0,
        stuff_overlap=2.0,
        new_overlap=2.0,
    )
    asked = replace(
        options.inference,
        short_side_px=64,
        tokens_per_frame=8,
        memory_frames=3,
        object_tile=8,
        consistency_threshold=-1.0,
        presence_threshold=0.0,
        minimum_quality=0.0,
    )
    return replace(options, detection=detection, inference=asked)


def frames(first: int, stop: int, size: tuple[int, int] = SIZE) -> list[Frame]:
    images = [
        torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(index))
        for index in range(first, stop)
    ]
    return [Frame(first + n, first + n, Fraction(1, 25), image) for n, image in enumerate(images)]


def opened(
    options: EntityOptions,
    words: EncodedVocabulary | None = None,
    answers: Iterable[Answer] = ALL,
    *,
    size: tuple[int, int] = SIZE,
    model: UniVS | None = None,
) -> EntitySegmenter:
    return EntitySegmenter(model or network(), words or vocabulary(), size, answers, options)


def run(segmenter: EntitySegmenter, count: int = 5) -> list[FrameResult]:
    clip = Clip(tuple(frames(0, count, segmenter.framing.frame)))
    return segmenter.step(clip) + segmenter.finish()
