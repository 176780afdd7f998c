"""Binary cross-entropy and dice of masks, at points."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from univs.losses.points import PointSampling, sample_at, uncertain_points

_SMOOTHING = 1.0


@dataclass(frozen=True, slots=True)
class MaskLoss:
    """Two scalars."""

    cross_entropy: Tensor
    dice: Tensor


def mask_loss(
    mask_logits: Tensor,
    masks: Tensor,
    is_counted: Tensor,
    sampling: PointSampling,
    generator: torch.Generator | None = None,
) -> MaskLoss:
    """Compare predicted masks with true ones at points.

    Args:
        mask_logits: [B, Q, T, h, w].
        masks: bool [B, Q, T, H, W], usually finer than the logits.
        is_counted: bool [B, Q, T]: pairs of mask and frame that take part; padding does not.
        sampling: how many points, and how chosen.
        generator: source of randomness, on the CPU or the device of the logits.
    Returns:
        Means over the counted masks; zeros, with a gradient of zero, where none is counted.
    """
    chosen = is_counted.flatten()
    logits = mask_logits.flatten(0, 2)[chosen]  # [N, h, w]
    truth = masks.flatten(0, 2)[chosen]  # [N, H, W]
    if len(logits) == 0:
        nothing = mask_logits.sum() * 0
        return MaskLoss(nothing, nothing)
    with torch.no_grad():
        points_xy = uncertain_points(logits.float(), sampling, generator)
        labels = sample_at(truth.to(points_xy.dtype), points_xy)
    sampled = sample_at(logits.float(), points_xy)
    return MaskLoss(
        cross_entropy=functional.binary_cross_entropy_with_logits(sampled, labels),
        dice=dice_loss(sampled, labels).mean(),
    )


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Give 1 - (2 |A and B| + 1) / (|A| + |B| + 1) of each row: [N, P], [N, P] -> [N]."""
    probability = logits.sigmoid()
    overlap = 2 * (probability * labels).sum(dim=1)
    total = probability.sum(dim=1) + labels.sum(dim=1)
    return 1 - (overlap + _SMOOTHING) / (total + _SMOOTHING)


def pairwise_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the mean cross-entropy of every row of logits with every row of labels: [Q, P], [O, P] -> [Q, O]."""
    positive = functional.softplus(-logits)
    negative = functional.softplus(logits)
    return (positive @ labels.T + negative @ (1 - labels).T) / logits.shape[1]


def pairwise_dice(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the dice loss of every row of logits with every row of labels: [Q, P], [O, P] -> [Q, O]."""
    probability = logits.sigmoid()
    overlap = 2 * probability @ labels.T
    total = probability.sum(dim=1)[:, None] + labels.sum(dim=1)[None]
    return 1 - (overlap + _SMOOTHING) / (total + _SMOOTHING)
