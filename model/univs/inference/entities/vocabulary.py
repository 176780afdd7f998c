"""The categories that are looked for, with their vectors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from univs.model import UniVS
from univs.vocabularies import Vocabulary


@dataclass(frozen=True, slots=True)
class EncodedVocabulary:
    """A vocabulary of K names, and their rows of a class table.

    Attributes:
        words: the categories.
        vectors: [K or more, D] in the network's text space; rows beyond the names are padding and change nothing.
    """

    words: Vocabulary
    vectors: Tensor

    def __post_init__(self) -> None:
        if self.vectors.dim() != 2 or len(self.vectors) < len(self.words):
            raise ValueError(
                f"expected a row of the class table for each of {len(self.words)} names, got a tensor of "
                f"{tuple(self.vectors.shape)}"
            )

    def __len__(self) -> int:
        return len(self.words)

    @property
    def names(self) -> tuple[str, ...]:
        """Name the categories."""
        return self.words.names

    @property
    def is_thing(self) -> tuple[bool, ...]:
        """Tell which categories are things."""
        return self.words.is_thing

    @property
    def things(self) -> Tensor:
        """Tell which categories are things: bool [K]."""
        return torch.tensor(self.is_thing, device=self.vectors.device)

    @classmethod
    def of(cls, model: UniVS, words: Vocabulary) -> "EncodedVocabulary":
        """Read the names of a vocabulary with the network's text encoder.

        Raises:
            UnsupportedPromptError: when no text encoder is loaded.
        """
        return cls(words, model.encode_names(words.phrases))

    def joined_with(self, other: "EncodedVocabulary") -> "EncodedVocabulary":
        """Add the names of another vocabulary; those that are here already are left out."""
        rows = list(self.words.missing_rows(other.words))
        added = other.vectors[rows].to(self.vectors)
        return EncodedVocabulary(self.words.joined_with(other.words), torch.cat([self.vectors[: len(self)], added]))
