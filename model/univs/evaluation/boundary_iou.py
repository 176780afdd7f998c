"""Boundary IoU: IoU of the parts of two masks that lie near their own contours.

Source: Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR 2021.
"""

import math

import numpy as np
from scipy import ndimage  # type: ignore[import-untyped]

from univs.evaluation.semantic import check_shapes
from univs.evaluation.vos import Mask

WIDTH_RATIO = 0.02  # of the frame's diagonal


def boundary_iou(predicted: Mask, truth: Mask, width_ratio: float = WIDTH_RATIO) -> float:
    """Give the IoU of the inner boundaries of two masks [H, W]; 1 when both are empty.

    Raises:
        InputError: for masks of different shapes.
    """
    check_shapes(predicted, truth)
    width_px = max(1, round(width_ratio * math.hypot(*truth.shape)))
    here, there = inner_boundary(predicted, width_px), inner_boundary(truth, width_px)
    union = int(np.count_nonzero(here | there))
    return int(np.count_nonzero(here & there)) / union if union else 1.0


def inner_boundary(mask: Mask, width_px: int) -> Mask:
    """Mark the pixels of a mask [H, W] within `width_px` of its outside, in rows, columns or diagonally.

    What lies beyond the frame is outside: a mask cut off by the frame has a boundary there.
    """
    inside = ndimage.minimum_filter(mask.view(np.uint8), size=2 * width_px + 1, mode="constant", cval=0)
    return np.asarray(mask & (inside == 0))
