"""What a training step lost, part by part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LossWeights:
    """What each part counts (paper: mask 5, class 3, ReID 0.5; released: class 5)."""

    cross_entropy: float = 5.0
    dice: float = 5.0
    category: float = 3.0
    contrastive: float = 0.5
    auxiliary: float = 0.5
    presence: float = 1.0


@dataclass(frozen=True, slots=True)
class LossParts:
    """The parts of a loss, each a scalar; the names are those of `LossWeights`."""

    cross_entropy: Tensor
    dice: Tensor
    category: Tensor
    contrastive: Tensor
    auxiliary: Tensor
    presence: Tensor

    @classmethod
    def zeros(cls, like: Tensor) -> "LossParts":
        """Give no loss, on the device of `like`."""
        return cls(*(like.new_zeros(()) for _ in fields(cls)))

    @classmethod
    def mean(cls, reports: Sequence["LossParts"]) -> "LossParts":
        """Average several, part by part."""
        assert reports, "there is no mean of nothing"
        return cls(*(torch.stack([getattr(parts, field.name) for parts in reports]).mean() for field in fields(cls)))

    @classmethod
    def sum(cls, reports: Sequence["LossParts"]) -> "LossParts":
        """Add several up, part by part."""
        assert reports, "there is no sum of nothing"
        return cls(*(torch.stack([getattr(parts, field.name) for parts in reports]).sum() for field in fields(cls)))

    def scaled(self, factor: Tensor | float) -> "LossParts":
        """Multiply every part."""
        return LossParts(*(getattr(self, field.name) * factor for field in fields(self)))

    def map(self, function: Callable[[Tensor], Tensor]) -> "LossParts":
        """Apply a function to every part, without gradients."""
        return LossParts(*(function(getattr(self, field.name).detach()) for field in fields(self)))

    def total(self, weights: LossWeights) -> Tensor:
        """Add the parts up, weighted: a scalar."""
        terms = [getattr(self, field.name) * getattr(weights, field.name) for field in fields(weights)]
        return torch.stack(terms).sum()
