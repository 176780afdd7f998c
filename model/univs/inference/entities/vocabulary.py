"""The categories that are looked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from univs.model import UniVS


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """K names, which of them are things, and their rows of a class table.

    Attributes:
        names: of the categories; at least one.
        is_thing: for each name, whether it can be counted (person) or not (sky).
        vectors: [K or more, D] in the network's text space; rows beyond the names are padding and change nothing.
    """

    names: tuple[str, ...]
    is_thing: tuple[bool, ...]
    vectors: Tensor

    def __post_init__(self) -> None:
        if not self.names or len(self.is_thing) != len(self.names):
            raise ValueError(
                f"expected one or more names and is_thing for each, got {len(self.names)} names and "
                f"{len(self.is_thing)} of is_thing"
            )
        if self.vectors.dim() != 2 or len(self.vectors) < len(self.names):
            raise ValueError(
                f"expected a row of the class table for each of {len(self.names)} names, got a tensor of "
                f"{tuple(self.vectors.shape)}"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def things(self) -> Tensor:
        """Tell which categories are things: bool [K]."""
        return torch.tensor(self.is_thing, device=self.vectors.device)

    @classmethod
    def of_names(cls, model: UniVS, names: Sequence[str], is_thing: Sequence[bool] | None = None) -> "Vocabulary":
        """Read any names with the network's text encoder.

        Args:
            model: the network.
            names: of the categories.
            is_thing: for each; all of them when left out.
        Raises:
            UnsupportedPromptError: when no text encoder is loaded.
        """
        things = tuple(is_thing) if is_thing is not None else (True,) * len(names)
        return cls(tuple(names), things, model.encode_names(names))

    def joined_with(self, other: "Vocabulary") -> "Vocabulary":
        """Add the names of another vocabulary; those that are here already are left out."""
        rows = [row for row, name in enumerate(other.names) if name not in self.names]
        return Vocabulary(
            self.names + tuple(other.names[row] for row in rows),
            self.is_thing + tuple(other.is_thing[row] for row in rows),
            torch.cat([self.vectors[: len(self)], other.vectors[rows].to(self.vectors)]),
        )
