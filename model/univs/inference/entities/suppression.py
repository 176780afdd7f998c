"""Which detections are one and the same: boxes and masks that overlap."""

import torch
from torch import Tensor


def mask_boxes(masks: Tensor) -> Tensor:
    """Give the smallest box around each mask.

    Args:
        masks: bool [..., H, W].
    Returns:
        float32 [..., 4], x0 y0 x1 y1 with x1 and y1 beyond the last pixel; zeros for an empty mask.
    """
    columns, rows = masks.any(dim=-2), masks.any(dim=-1)
    is_empty = ~rows.any(dim=-1)
    left, top = columns.int().argmax(dim=-1), rows.int().argmax(dim=-1)
    right = columns.shape[-1] - columns.flip(-1).int().argmax(dim=-1)
    bottom = rows.shape[-1] - rows.flip(-1).int().argmax(dim=-1)
    boxes = torch.stack([left, top, right, bottom], dim=-1).float()
    return boxes.masked_fill(is_empty[..., None], 0.0)


def box_overlaps(boxes: Tensor) -> Tensor:
    """Give the intersection over union of each pair of boxes: [N, T, 4] -> [N, N], the largest over frames."""
    low = torch.maximum(boxes[:, None, :, :2], boxes[None, :, :, :2])
    high = torch.minimum(boxes[:, None, :, 2:], boxes[None, :, :, 2:])
    both = (high - low).clamp(min=0).prod(dim=-1)  # [N, N, T]
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
    either = areas[:, None] + areas[None] - both
    return (both / either.clamp(min=1)).amax(dim=-1)


def mask_overlaps(left: Tensor, right: Tensor) -> Tensor:
    """Give the intersection over union of each pair of masks in each frame.

    Args:
        left: bool [N, T, H, W].
        right: bool [M, T, H, W].
    Returns:
        float32 [N, M, T]; 0 where both are empty.
    """
    first, second = left.flatten(2).float(), right.flatten(2).float()
    both = torch.einsum("ntp,mtp->nmt", first, second)
    either = first.sum(dim=2)[:, None] + second.sum(dim=2)[None] - both
    return both / either.clamp(min=1)


def kept(overlaps: Tensor, threshold: float) -> Tensor:
    """Keep what overlaps nothing better: [N, N] of rows in descending score -> bool [N]."""
    return ~(overlaps.triu(diagonal=1) >= threshold).any(dim=0)
