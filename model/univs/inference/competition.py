"""Masks as the published code decides on them: objects compete for pixels, and must look like themselves.

Everything here is over a whole window: an object wins a pixel of a frame with its weight of the window.
Source: SPEC sections 7 and 8; `docs/semantics.md` tells it from our own rule.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_KEEPS_OF_ITS_AREA = 0.25  # an object that wins less of its own mask than this is cleared
_AGREES_WITH_PROMPT = 0.15  # IoU with the given mask below which a new object is not believed ...
_SMALL_AREA_PX = 96**2  # ... less for objects smaller than this


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object whose given mask lies inside the window."""

    given: Tensor  # bool [H, W]
    position: int  # of its frame in the window
    is_stuff: bool = False  # its category decides, so it need not agree with its prompt


def overlap(left: Tensor, right: Tensor) -> float:
    """Give the intersection over union of two bool masks; 0 when both are empty."""
    return float((left & right).sum()) / max(1.0, float((left | right).sum()))


def resolve_new(
    logits: Tensor, objects: list[NewObject], qualities: Tensor, is_certain: Tensor | None = None
) -> list[Tensor | None]:
    """Divide pixels among objects that first appear in this window.

    Args:
        logits: [O, T, H, W] over the padded picture.
        objects: O given masks.
        qualities: [O], stability of the masks.
        is_certain: bool [O, T, H, W], as in `winners`.
    Returns:
        Logits [T, H, W] for each object, zero outside what it won; None for one that does not agree with its prompt.
    """
    agreement = [overlap(own[new.position] > 0, new.given) for own, new in zip(logits, objects, strict=True)]
    is_won = winners(logits, logits.new_tensor(agreement) ** 2 * qualities, is_certain)
    resolved: list[Tensor | None] = []
    for own, won, new in zip(logits, is_won, objects, strict=True):
        kept = own * won
        needed = _AGREES_WITH_PROMPT * min(1.0, float(new.given.sum()) / _SMALL_AREA_PX)
        is_believed = new.is_stuff or overlap(kept[new.position] > 0, new.given) > needed
        resolved.append(kept if is_believed else None)
    return resolved


def resolve_known(logits: Tensor, similarities: Tensor, qualities: Tensor, is_certain: Tensor | None = None) -> Tensor:
    """Divide pixels among objects that appeared before this window.

    Args:
        logits: [O, T, H, W] over the padded picture; zeros for objects that were not recognised.
        similarities: [O], with their past.
        qualities: [O].
        is_certain: bool [O, T, H, W], as in `winners`.
    Returns:
        [O, T, H, W], zero outside what each object won, and everywhere for one that lost most of its mask.
    """
    is_won = winners(logits, similarities**2 * qualities, is_certain)
    areas = (logits > 0).flatten(1).sum(dim=1).clamp(min=1)
    keeps = is_won.flatten(1).sum(dim=1) / areas > _KEEPS_OF_ITS_AREA
    return logits * (is_won & keeps[:, None, None, None])


def winners(logits: Tensor, weights: Tensor, is_certain: Tensor | None = None) -> Tensor:
    """Tell which object wins each pixel, by probability times weight; nobody does where all logits are negative.

    Args:
        logits: [O, T, H, W].
        weights: [O].
        is_certain: bool [O, T, H, W], where the probability is 1 whatever the logits say; None where nowhere.
    Returns:
        bool [O, T, H, W].
    """
    probabilities = logits.sigmoid()
    if is_certain is not None:
        probabilities = probabilities.masked_fill(is_certain, 1.0)
    best = (probabilities * weights[:, None, None, None]).argmax(dim=0)
    order = torch.arange(len(logits), device=logits.device)[:, None, None, None]
    return (best == order) & (logits > 0).any(dim=0)
