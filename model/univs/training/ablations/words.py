"""A text space without a text encoder: each word is a direction, drawn by its letters; for worlds of a few names."""

import zlib

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from univs.prompt_encoder.text import TextFeatures

_LEFT_OUT = {"the", "a", "an"}


class HashedWords:
    """Reads texts by their words alone, each the same wherever it stands."""

    def __init__(self, text_dim: int) -> None:
        self._text_dim = text_dim

    @property
    def text_dim(self) -> int:
        """D."""
        return self._text_dim

    def encode(self, texts: list[str]) -> TextFeatures:
        """Encode expressions: sentences are means of their words."""
        words = [self._words(text) for text in texts]
        longest = max(len(rows) for rows in words)
        lengths = torch.tensor([len(rows) for rows in words])
        return TextFeatures(
            sentences=torch.stack([rows.mean(dim=0) for rows in words]),
            words=torch.stack([functional.pad(rows, (0, 0, 0, longest - len(rows))) for rows in words]),
            is_padding=torch.arange(longest)[None] >= lengths[:, None],
        )

    def encode_names(self, names: list[str]) -> Tensor:
        """Encode names as the expressions that they are: [N, D]."""
        return self.encode(names).sentences

    def _words(self, text: str) -> Tensor:
        spoken = [word for word in text.lower().split() if word not in _LEFT_OUT] or [""]
        return torch.stack([self._direction(word) for word in spoken])

    def _direction(self, word: str) -> Tensor:
        drawn = np.random.RandomState(zlib.crc32(word.encode())).standard_normal(self._text_dim)
        return functional.normalize(torch.from_numpy(drawn), dim=0).float()
