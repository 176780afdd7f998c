"""Which objects of a training clip are asked for by text, and which absent things are asked for beside them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from univs.data.naming import plain_name
from univs.data.sample import Batch
from univs.prompt_encoder.text import TextEncoder, TextFeatures

_NUM_CACHED = 2048  # texts, of some 70 kB each


@dataclass(frozen=True, slots=True)
class TextPrompting:
    """How clips are prompted by text.

    Attributes:
        probability: how often an object that a text names alone is prompted by this text, and by nothing else.
        num_absent: names of absent things that each clip is asked for, where it is known what is absent.
        phrases: what names of categories are put into, one drawn for each; expressions stay as they are.
    """

    probability: float = 0.5
    num_absent: int = 1
    phrases: tuple[str, ...] = ("{}", "the {}", "a {}")

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1 or self.num_absent < 0 or not self.phrases:
            raise ValueError(
                "expected a probability in 0..1, num_absent of 0 or more and at least one phrase, got "
                f"{self.probability}, {self.num_absent} and {self.phrases}"
            )


@dataclass(frozen=True, slots=True)
class TextPrompts:
    """The texts of a batch: one for each object slot, then those of A absent things."""

    sentences: Tensor  # [B, O + A, D]
    words: Tensor  # [B, O + A, W, D]
    word_padding: Tensor  # bool [B, O + A, W]
    is_used: Tensor  # bool [B, O + A]; object slots that are not used keep their visual prompts
    num_objects: int  # O

    @property
    def is_told(self) -> Tensor:
        """Say which objects are prompted by text: bool [B, O]."""
        return self.is_used[:, : self.num_objects]


class TextDrawer:
    """Draw the texts of batches; texts that come again are encoded once."""

    def __init__(self, encoder: TextEncoder, config: TextPrompting) -> None:
        self._config = config
        self._encoder = encoder
        self._encoded = lru_cache(_NUM_CACHED)(self._encode)

    def draw(self, batch: Batch, rng: np.random.Generator) -> TextPrompts | None:
        """Draw texts for a batch; None when there is nothing to say."""
        num_objects = batch.is_padding.shape[1]
        rows = [self._draw_row(batch, video, rng) for video in range(len(batch.texts))]
        if not any(any(row) for row in rows):
            return None
        features = TextFeatures.join([self._encoded(text) for row in rows for text in row], torch.float32)
        shape = (len(rows), num_objects + self._config.num_absent)
        padding = features.is_padding
        if padding is None:
            padding = torch.zeros(features.words.shape[:2], dtype=torch.bool)
        device = batch.images.device

        def of_slots(rows: Tensor) -> Tensor:
            return rows.view(*shape, *rows.shape[1:]).to(device)

        return TextPrompts(
            sentences=of_slots(features.sentences),
            words=of_slots(features.words),
            word_padding=of_slots(padding),
            is_used=torch.tensor([[bool(text) for text in row] for row in rows], device=device),
            num_objects=num_objects,
        )

    def _draw_row(self, batch: Batch, video: int, rng: np.random.Generator) -> list[str]:
        """Draw the texts of one clip, "" where none is used."""
        config = self._config
        names = set(batch.vocabularies[video])
        num_objects = batch.is_padding.shape[1]
        row = [""] * (num_objects + config.num_absent)
        for slot, text in enumerate(batch.texts[video]):
            if text and rng.random() < config.probability:
                row[slot] = self._phrased(text, rng) if text in names else plain_name(text)
        absent = batch.absent_names[video]
        number = min(config.num_absent, len(absent))
        for place, index in enumerate(rng.choice(len(absent), size=number, replace=False) if number else ()):
            row[num_objects + place] = self._phrased(absent[int(index)], rng)
        return row

    def _phrased(self, name: str, rng: np.random.Generator) -> str:
        phrases = self._config.phrases
        return phrases[int(rng.integers(len(phrases)))].format(plain_name(name))

    def _encode(self, text: str) -> TextFeatures:
        found = self._encoder.encode([text])
        padding = None if found.is_padding is None else found.is_padding.cpu()
        return TextFeatures(found.sentences.cpu(), found.words.cpu(), padding)
