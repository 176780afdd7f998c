"""Segmentation and tracking quality STQ = sqrt(AQ x SQ): every pixel, whole videos, no threshold.

Source: Weber et al., "STEP: Segmenting and Tracking Every Pixel", 2021. As in the released evaluator, predicted void
counts as one more class in SQ as soon as it covers an annotated pixel.
"""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from univs.evaluation.panoptic import Overlaps, PanopticMap, overlaps, segments_by_id
from univs.evaluation.semantic import Counts, nan_mean, ratio


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
        InputError: for maps of different shapes, or a category outside 0..K-1.
    """
    pixels = overlaps(predicted.ids, truth.ids)
    counts = _confusion(pixels, predicted, truth, len(is_thing))
    crowds = {segment.segment_id for segment in truth.segments if segment.is_crowd}
    true_tubes = _thing_ids(truth, is_thing) - crowds
    predicted_tubes = _thing_ids(predicted, is_thing)
    columns = (pixels.predicted_ids.tolist(), pixels.true_ids.tolist(), pixels.num_pixels.tolist())
    triples = [each for each in zip(*columns, strict=True) if each[1] not in crowds]
    predicted_sizes: Counter[int] = Counter()
    true_sizes: Counter[int] = Counter()
    for predicted_id, true_id, count in triples:
        predicted_sizes[predicted_id] += count
        true_sizes[true_id] += count
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


def _confusion(pixels: Overlaps, predicted: PanopticMap, truth: PanopticMap, num_classes: int) -> Counts:
    """Count pixels by true and predicted class; pixels without an annotated segment are left out."""
    predicted_segments = segments_by_id(predicted.segments, num_classes)
    true_segments = segments_by_id(truth.segments, num_classes)
    counts = np.zeros((num_classes, num_classes + 1), dtype=np.int64)
    columns = (pixels.predicted_ids.tolist(), pixels.true_ids.tolist(), pixels.num_pixels.tolist())
    for predicted_id, true_id, count in zip(*columns, strict=True):
        if true_id in true_segments:
            segment = predicted_segments.get(predicted_id)
            column = num_classes if segment is None else segment.category_id
            counts[true_segments[true_id].category_id, column] += count
    return counts


def _thing_ids(panoptic: PanopticMap, is_thing: tuple[bool, ...]) -> set[int]:
    return {segment.segment_id for segment in panoptic.segments if is_thing[segment.category_id]}
