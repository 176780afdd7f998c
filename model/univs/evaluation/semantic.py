"""Semantic segmentation: class IoU and its means, over pictures or over the frames of all videos together.

Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", 2015, section 5.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from univs.errors import InputError

LabelMap: TypeAlias = npt.NDArray[np.integer[Any]]
Counts: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SemanticReport:
    """Figures of a data set, each in [0, 1]; NaN where nothing was counted."""

    class_iou: tuple[float, ...]  # [K]; NaN for a class that is neither annotated nor predicted
    num_true_pixels: tuple[int, ...]  # [K]
    mean_iou: float  # over classes annotated or predicted
    frequency_weighted_iou: float  # IoU of a class weighs as many pixels as are annotated
    mean_accuracy: float  # recall of a class, over annotated classes
    pixel_accuracy: float

    @property
    def mean_iou_of_annotated_classes(self) -> float:
        """Mean IoU without classes that are predicted but never annotated, as detectron2 has it."""
        pairs = zip(self.class_iou, self.num_true_pixels, strict=True)
        return nan_mean([iou for iou, num_pixels in pairs if num_pixels])


def confusion(predicted: LabelMap, truth: LabelMap, num_classes: int) -> Counts:
    """Count pixels by true and predicted class: int64 [K, K + 1]; matrices of several pictures add up.

    Pixels whose truth lies outside 0..K-1 (void) are left out. The last column counts predictions outside of
    0..K-1: they are no class and miss the true one.

    Raises:
        InputError: for maps of different shapes.
    """
    check_shapes(predicted, truth)
    is_annotated = (truth >= 0) & (truth < num_classes)
    rows = truth[is_annotated].astype(np.int64)
    columns = predicted[is_annotated].astype(np.int64)
    columns[(columns < 0) | (columns >= num_classes)] = num_classes
    cells = np.bincount(rows * (num_classes + 1) + columns, minlength=num_classes * (num_classes + 1))
    return cells.reshape(num_classes, num_classes + 1)


def summarize(counts: Counts) -> SemanticReport:
    """Turn a confusion matrix int64 [K, K + 1] into figures."""
    hits = np.diagonal(counts).astype(np.float64)  # [K]
    true_pixels = counts.sum(axis=1)
    unions = true_pixels + counts[:, :-1].sum(axis=0) - hits
    iou = ratio(hits, unions)
    num_pixels = float(true_pixels.sum())
    weighted = float(np.nansum(iou * true_pixels))
    return SemanticReport(
        class_iou=tuple(float(value) for value in iou),
        num_true_pixels=tuple(int(count) for count in true_pixels),
        mean_iou=nan_mean(iou),
        frequency_weighted_iou=weighted / num_pixels if num_pixels else float("nan"),
        mean_accuracy=nan_mean(ratio(hits, true_pixels)),
        pixel_accuracy=float(hits.sum()) / num_pixels if num_pixels else float("nan"),
    )


def ratio(parts: npt.ArrayLike, wholes: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Divide element by element; NaN where the whole is zero."""
    wholes = np.asarray(wholes, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(wholes > 0, np.asarray(parts, dtype=np.float64) / wholes, np.nan))


def nan_mean(values: Iterable[float] | npt.NDArray[np.float64]) -> float:
    """Give the mean of what is not NaN; NaN when nothing is."""
    array = np.asarray(list(values) if not isinstance(values, np.ndarray) else values, dtype=np.float64)
    kept = array[~np.isnan(array)]
    return float(kept.mean()) if kept.size else float("nan")


def check_shapes(predicted: npt.NDArray[Any], truth: npt.NDArray[Any]) -> None:
    """Refuse a prediction of another shape than the annotation.

    Raises:
        InputError: with both shapes.
    """
    if predicted.shape != truth.shape:
        raise InputError(
            f"expected a prediction of the annotation's shape {truth.shape}, got {predicted.shape}; "
            "resize the prediction (nearest neighbour) and give one map per annotated frame"
        )
