"""Segmentation and tracking quality STQ = sqrt(AQ x SQ): every pixel, whole videos, no threshold.

Source: Weber et al., "STEP: Segmenting and Tracking Every Pixel", 2021. As in the released evaluator, predicted void
counts as one more class in SQ as soon as it covers an annotated pixel.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from univs.evaluation.panoptic import PanopticMap, overlaps
from univs.evaluation.semantic import Counts, LabelMap, check_shapes, confusion, nan_mean, ratio


@dataclass(frozen=True, slots=True)
class TrackingTally:
    """What STQ is made of; tallies of videos add up."""

    counts: Counts  # [K, K + 1] pixels by true and predicted class, the last column void
    association_sum: float  # over annotated tubes of things
    num_tubes: int

    def __add__(self, other: "TrackingTally") -> "TrackingTally":
        return TrackingTally(
            self.counts + other.counts,
            self.association_sum + other.association_sum,
            self.num_tubes + other.num_tubes,
        )


@dataclass(frozen=True, slots=True)
class TrackingReport:
    """Figures in [0, 1]; NaN where nothing is annotated."""

    stq: float
    association: float  # AQ
    segmentation: float  # SQ


def tally(predicted: PanopticMap, truth: PanopticMap, is_thing: tuple[bool, ...]) -> TrackingTally:
    """Count one video.

    Args:
        predicted: ids [T, H, W].
        truth: ids [T, H, W]; crowds take part in SQ and are left out of AQ.
        is_thing: [K].
    Raises:
        InputError: for maps of different shapes.
    """
    check_shapes(predicted.ids, truth.ids)
    num_classes = len(is_thing)
    counts = confusion(_classes(predicted, num_classes), _classes(truth, num_classes), num_classes)
    crowds = [segment.segment_id for segment in truth.segments if segment.is_crowd]
    is_counted = ~np.isin(truth.ids, crowds)
    true_tubes = _thing_ids(truth, is_thing) - set(crowds)
    predicted_tubes = _thing_ids(predicted, is_thing)
    pixels = overlaps(predicted.ids[is_counted], truth.ids[is_counted])
    triples = list(
        zip(pixels.predicted_ids.tolist(), pixels.true_ids.tolist(), pixels.num_pixels.tolist(), strict=True)
    )
    predicted_sizes = _sizes([(predicted_id, count) for predicted_id, _, count in triples])
    true_sizes = _sizes([(true_id, count) for _, true_id, count in triples])
    association_sum = 0.0
    for predicted_id, true_id, count in triples:
        if predicted_id in predicted_tubes and true_id in true_tubes:
            iou = count / (predicted_sizes[predicted_id] + true_sizes[true_id] - count)
            association_sum += count * iou / true_sizes[true_id]
    return TrackingTally(counts, association_sum, len(true_tubes & true_sizes.keys()))


def summarize(total: TrackingTally) -> TrackingReport:
    """Turn a sum over a data set into STQ, AQ and SQ."""
    association = total.association_sum / total.num_tubes if total.num_tubes else math.nan
    num_classes = total.counts.shape[0]
    square = np.zeros((num_classes + 1, num_classes + 1), dtype=np.int64)
    square[:-1] = total.counts
    hits = np.diagonal(square)
    segmentation = nan_mean(ratio(hits, square.sum(axis=0) + square.sum(axis=1) - hits))
    return TrackingReport(math.sqrt(association * segmentation), association, segmentation)


def _classes(panoptic: PanopticMap, num_classes: int) -> LabelMap:
    """Paint each segment with its class, what has no segment with K: int64, as the ids."""
    ids, places = np.unique(panoptic.ids, return_inverse=True)
    by_id = {segment.segment_id: segment.category_id for segment in panoptic.segments}
    table = np.array([by_id.get(segment_id, num_classes) for segment_id in ids.tolist()], dtype=np.int64)
    painted: npt.NDArray[np.int64] = table[places.reshape(panoptic.ids.shape)]
    return painted


def _thing_ids(panoptic: PanopticMap, is_thing: tuple[bool, ...]) -> set[int]:
    return {segment.segment_id for segment in panoptic.segments if is_thing[segment.category_id]}


def _sizes(pairs: list[tuple[int, int]]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for segment_id, count in pairs:
        sizes[segment_id] = sizes.get(segment_id, 0) + count
    return sizes
