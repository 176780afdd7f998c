"""Areas and overlaps of run-length encoded masks, without decoding them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from hotcoco import mask as library

from univs import rle
from univs.errors import InputError
from univs.rle import Rle

Floats = npt.NDArray[np.float64]


def areas(masks: Sequence[Rle]) -> Floats:
    """Count the pixels of each mask: float64 [N]."""
    return np.array([rle.area(mask) for mask in masks], dtype=np.float64)


def iou(predicted: Sequence[Rle], truth: Sequence[Rle]) -> Floats:
    """Give the IoU of all pairs: float64 [D, G]; 0 for two empty masks.

    Raises:
        InputError: for masks of different sizes.
    """
    sizes = {mask.size for mask in (*predicted, *truth)}
    if len(sizes) > 1:
        raise InputError(f"expected masks of one frame to have one size, got {sorted(sizes)}; resize predictions")
    if not predicted or not truth:
        return np.zeros((len(predicted), len(truth)))
    encoded = [[{"size": list(mask.size), "counts": mask.counts} for mask in masks] for masks in (predicted, truth)]
    return np.asarray(library.iou(encoded[0], encoded[1], [False] * len(truth)), dtype=np.float64)


def intersections(predicted: Sequence[Rle], truth: Sequence[Rle]) -> Floats:
    """Count the common pixels of all pairs: float64 [D, G], whole numbers.

    With S the sum of two areas, IoU = I / (S - I), so that I = S IoU / (1 + IoU), which rounding makes exact.

    Raises:
        InputError: for masks of different sizes.
    """
    values = iou(predicted, truth)
    return np.round((areas(predicted)[:, None] + areas(truth)[None]) * values / (1 + values))
