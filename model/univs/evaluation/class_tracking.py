"""HOTA of each class, averaged over common, uncommon and all classes, where not every class is annotated everywhere.

Source: Athar et al., "BURST: A Benchmark for Unifying Object Recognition, Segmentation and Tracking in Video", 2023,
with the rules of Dave et al., "TAO: A Large-Scale Benchmark for Tracking Any Object", 2020, for what is not annotated.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from univs.evaluation import hota
from univs.evaluation.hota import FramePairs, HotaReport, HotaTally
from univs.evaluation.mask_iou import Floats, iou
from univs.evaluation.semantic import nan_mean
from univs.rle import Rle

_SAME = 0.5 - float(np.finfo(np.float64).eps)  # IoU from which a prediction stands for an annotated object


@dataclass(frozen=True, slots=True)
class Detection:
    """An object in one frame."""

    track_id: int
    category_id: int
    mask: Rle


@dataclass(frozen=True, slots=True)
class AnnotatedVideo:
    """Objects of a video, and what is known of the classes without any."""

    frames: tuple[tuple[Detection, ...], ...]  # [T] annotated frames
    absent_categories: frozenset[int] = frozenset()  # verified not to occur
    incomplete_categories: frozenset[int] = frozenset()  # some objects are not annotated


@dataclass(frozen=True, slots=True)
class ClassTrackingReport:
    """Means over the annotated classes of each group; NaN for a group without any."""

    all: HotaReport
    common: HotaReport
    uncommon: HotaReport
    classes: Mapping[int, HotaReport]  # by category id


def tally_classes(
    predicted: Sequence[Sequence[Detection]],
    truth: AnnotatedVideo,
    category_ids: Iterable[int],
    is_exemplar_guided: bool = False,
) -> dict[int, HotaTally]:
    """Count one video for each class.

    Args:
        predicted: objects of each annotated frame, [T].
        truth: the annotation.
        category_ids: classes to count.
        is_exemplar_guided: whether first masks (boxes, points) were given. Then every prediction counts; without, a
            prediction that meets no object is dropped in frames without an object of its class, unless the class is
            known to be absent, and everywhere in videos that annotate the class incompletely.
    Raises:
        InputError: for a track that occurs twice in a frame, or masks of different sizes.
        ValueError: when predicted and annotated frames differ in number.
    """
    tallies = {}
    for category_id in category_ids:
        frames = []
        for predictions, annotations in zip(predicted, truth.frames, strict=True):
            pairs = _pairs(predictions, annotations, category_id)
            if not is_exemplar_guided:
                pairs = _drop_unjudged(pairs, category_id, truth)
            frames.append(pairs)
        tallies[category_id] = hota.tally(frames)
    return tallies


def summarize_classes(totals: Mapping[int, HotaTally], common_ids: frozenset[int]) -> ClassTrackingReport:
    """Turn sums over videos into means over classes.

    Args:
        totals: by category id; classes without an annotation do not take part.
        common_ids: the classes called common (in BURST the 78 it shares with COCO); the others are uncommon.
    """
    classes = {number: hota.summarize(total) for number, total in totals.items() if total.num_true}
    return ClassTrackingReport(
        _mean(list(classes.values())),
        _mean([report for number, report in classes.items() if number in common_ids]),
        _mean([report for number, report in classes.items() if number not in common_ids]),
        classes,
    )


def _pairs(predictions: Sequence[Detection], annotations: Sequence[Detection], category_id: int) -> FramePairs:
    here = [detection for detection in predictions if detection.category_id == category_id]
    there = [detection for detection in annotations if detection.category_id == category_id]
    return FramePairs(
        tuple(detection.track_id for detection in there),
        tuple(detection.track_id for detection in here),
        iou([detection.mask for detection in there], [detection.mask for detection in here]),
    )


def _drop_unjudged(pairs: FramePairs, category_id: int, truth: AnnotatedVideo) -> FramePairs:
    """Drop predictions that meet no object where nobody can say that they are wrong."""
    is_unknown = not pairs.true_ids and category_id not in truth.absent_categories
    if not is_unknown and category_id not in truth.incomplete_categories:
        return pairs
    kept = sorted(_met(pairs.similarity))
    return FramePairs(pairs.true_ids, tuple(pairs.predicted_ids[column] for column in kept), pairs.similarity[:, kept])


def _met(similarity: Floats) -> list[int]:
    """Give the columns that an assignment pairs with an object at an IoU of one half or more."""
    scores = np.where(similarity < _SAME, 0, similarity)
    rows, columns = linear_sum_assignment(-scores)
    return [int(column) for row, column in zip(rows, columns, strict=True) if scores[row, column] > 0]


def _mean(reports: Sequence[HotaReport]) -> HotaReport:
    return HotaReport(
        nan_mean([report.hota for report in reports]),
        nan_mean([report.detection for report in reports]),
        nan_mean([report.association for report in reports]),
        nan_mean([report.localization for report in reports]),
    )
