"""Fit the map that brings sentences of all-MiniLM-L6-v2 into CLIP's text space, and measure it on names left out.

Ridge regression from sentences about a name to the name's stored CLIP vector. A name is put into several phrases that
all have the same goal, so that the map learns what to leave out of an expression. The spread of what comes out is then
brought back to that of CLIP's vectors, which the ridge has narrowed.
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from univs.errors import InputError
from univs.prompt_encoder.minilm import MiniLM, sentence_of
from univs.prompt_encoder.text_map import TextMap
from univs.vocabularies import spoken

_NOTE = (
    "Apache-2.0: fitted on CLIP ViT-B/32 embeddings of the category names of LVIS and Objects365 (Apache-2.0), "
    "over sentences of all-MiniLM-L6-v2 (Apache-2.0)"
)
_HELD_OUT_SHARE = 6  # one name in so many is held out


@dataclass(frozen=True, slots=True)
class TextMapRecipe:
    """How a map is fitted.

    Attributes:
        ridge: weight of the squared numbers of the map, beside a phrase's mean squared error summed over names.
        phrases: what names are put into.
        unseen_phrases: what held-out names are put into as well, to measure how the map reads expressions.
    """

    ridge: float = 0.3
    phrases: tuple[str, ...] = (
        "{}",
        "a {}",
        "the {}",
        "a photo of a {}",
        "the {} in the picture",
        "a {} on the left",
        "a small {} in the background",
        "the {} that is moving",
    )
    unseen_phrases: tuple[str, ...] = ("an old {} near the water", "the {} standing next to the wall")


@dataclass(frozen=True, slots=True)
class PhraseFigures:
    """How often a held-out name is found among all held-out names, from one phrase about it."""

    phrase: str
    top_1: float
    top_5: float


@dataclass(frozen=True, slots=True)
class TextMapReport:
    """What a fit learned from, and how good it is."""

    num_names: int
    num_held_out: int
    figures: tuple[PhraseFigures, ...]


def is_held_out(name: str) -> bool:
    """Say whether a name is kept for measuring; the same for all spellings of a name, on any machine."""
    return zlib.crc32(_base(name).encode()) % _HELD_OUT_SHARE == 0


def fit_text_map(
    tables: Mapping[str, Tensor],
    sentence_encoder: MiniLM,
    recipe: TextMapRecipe | None = None,
    on_phrase: Callable[[str], None] | None = None,
) -> tuple[TextMap, TextMapReport]:
    """Fit a map on the names that are not held out, and measure it on those that are.

    Args:
        tables: vectors of names in the text space, [D] each.
        sentence_encoder: of `univs.prompt_encoder.minilm`.
        recipe: how.
        on_phrase: is told each phrase before it is encoded, which takes most of the time.
    Raises:
        InputError: when too few names are left to fit or to measure.
    """
    recipe = recipe or TextMapRecipe()
    learned = [name for name in tables if not is_held_out(name)]
    held_out = list({_base(name): name for name in tables if is_held_out(name)}.values())  # each name once
    if len(learned) < 2 or len(held_out) < 2:
        raise InputError(
            f"expected at least 2 names to fit and 2 to measure, got {len(learned)} and {len(held_out)}; "
            "give a folder with the tables of LVIS and Objects365"
        )

    def sentences(names: Sequence[str], phrase: str) -> Tensor:
        if on_phrase is not None:
            on_phrase(phrase)
        words = sentence_encoder.encode([phrase.format(spoken(name)) for name in names])
        return torch.stack([sentence_of(found)[0] for found in words]).double()

    goals = torch.stack([tables[name] for name in learned]).double()
    weight, bias = _ridge([sentences(learned, phrase) for phrase in recipe.phrases], goals, recipe.ridge)
    truth = torch.stack([tables[name] for name in held_out]).double()
    figures = tuple(
        _measured(phrase, sentences(held_out, phrase) @ weight + bias, truth, goals.mean(dim=0))
        for phrase in (*recipe.phrases, *recipe.unseen_phrases)
    )
    report = TextMapReport(len(learned), len(held_out), figures)
    described = json.dumps({"recipe": asdict(recipe), "report": asdict(report)}, sort_keys=True)
    return TextMap(weight.T.float().contiguous(), bias.float(), described, _NOTE), report


def _base(name: str) -> str:
    """Leave out what tells a name from its namesakes: "car (automobile)" -> "car"."""
    return spoken(name).split(" (")[0]


def _ridge(phrases: Sequence[Tensor], goals: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Solve for weight [384, D] and bias [D] from the sentences of each phrase, [N, 384], and goals [N, D]."""
    seen = torch.cat(list(phrases))
    middle, goal = seen.mean(dim=0), goals.mean(dim=0)
    centred, wanted = seen - middle, (goals - goal).repeat(len(phrases), 1)
    penalty = ridge * len(phrases) * torch.eye(seen.shape[1], dtype=seen.dtype)
    weight = torch.linalg.solve(centred.T @ centred + penalty, centred.T @ wanted)
    weight = weight * (wanted.norm() / (centred @ weight).norm())
    return weight, goal - middle @ weight


def _measured(phrase: str, found: Tensor, truth: Tensor, middle: Tensor) -> PhraseFigures:
    """Rank all held-out names by cosine to what came out, about the middle of the space that all names share."""
    similarity = functional.normalize(found - middle, dim=1) @ functional.normalize(truth - middle, dim=1).T
    rank = (similarity > similarity.diagonal()[:, None]).sum(dim=1)
    return PhraseFigures(phrase, float((rank == 0).double().mean()), float((rank < 5).double().mean()))
