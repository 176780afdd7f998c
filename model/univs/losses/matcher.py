"""Which learnable query answers for which object: the cheapest assignment.

Source: Carion et al., "DETR", 2020; costs as in Mask2Former and UniVS. Prompt queries need no matching: query and
object belong together from the start.
"""

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]
from torch import Tensor

from univs.losses.masks import pairwise_cross_entropy, pairwise_dice
from univs.losses.points import random_points, sample_at

_SHARPNESS = 5.0  # released code: softmax over 5 * sigmoid(logits)


@dataclass(frozen=True, slots=True)
class MatchCosts:
    """Weights of the costs, and the number of random points shared by all pairs."""

    category: float = 3.0
    cross_entropy: float = 5.0
    dice: float = 5.0
    num_points: int = 12544


@dataclass(frozen=True, slots=True)
class Match:
    """Rows of queries and of objects that belong together, both int64 [M]."""

    query_rows: Tensor
    object_rows: Tensor


@torch.no_grad()
def match(
    mask_logits: Tensor,
    class_logits: Tensor | None,
    masks: Tensor,
    category_ids: Tensor,
    *,
    costs: MatchCosts,
    generator: torch.Generator | None = None,
) -> Match:
    """Match the queries of one video with its objects.

    Args:
        mask_logits: [Q, T, h, w].
        class_logits: [Q, K], or None for class-agnostic data.
        masks: bool [O, T, H, W], without padding.
        category_ids: int64 [O]; negative ids are unknown and cost nothing.
        costs: weights.
        generator: source of randomness, on the CPU or the device of the logits.
    Returns:
        min(Q, O) pairs; none when there are no objects.
    """
    num_objects = masks.shape[0]
    if num_objects == 0 or mask_logits.shape[0] == 0:
        nothing = torch.zeros(0, dtype=torch.int64, device=masks.device)
        return Match(nothing, nothing)
    points_xy = random_points(1, costs.num_points, mask_logits.float(), generator)
    logits = _at_points(mask_logits.float(), points_xy)
    labels = _at_points(masks.to(logits.dtype), points_xy)
    total = costs.cross_entropy * pairwise_cross_entropy(logits, labels)
    total = total + costs.dice * pairwise_dice(logits, labels)
    if class_logits is not None:
        total = total + costs.category * _class_cost(class_logits, category_ids)
    rows, columns = linear_sum_assignment(total.cpu().numpy())
    return Match(
        torch.as_tensor(rows, dtype=torch.int64, device=masks.device),
        torch.as_tensor(columns, dtype=torch.int64, device=masks.device),
    )


def _at_points(volumes: Tensor, points_xy: Tensor) -> Tensor:
    """Read volumes [N, T, H, W] at the same points of every frame: [N, T * P]."""
    flat = volumes.flatten(0, 1)
    return sample_at(flat, points_xy.expand(len(flat), -1, -1)).view(len(volumes), -1)


def _class_cost(class_logits: Tensor, category_ids: Tensor) -> Tensor:
    """Give the cost of every query for the class of every object: [Q, O]."""
    probability = torch.softmax(_SHARPNESS * class_logits.float().sigmoid(), dim=1)
    cost = -probability[:, category_ids.clamp(min=0)]
    return cost * (category_ids >= 0)
