"""Panoptic quality PQ = SQ x RQ, of pictures and of tubes (segments followed through a window of frames).

Source: Kirillov et al., "Panoptic Segmentation", CVPR 2019; of tubes: Kim et al., "Video Panoptic Segmentation", 2020.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from univs.errors import InputError
from univs.evaluation.semantic import LabelMap, check_shapes, nan_mean, ratio

VOID = 0  # the id of pixels that belong to no segment
_MAX_ID = 1 << 31  # so that a pair of ids is one int64
_MATCH_IOU = 0.5  # above it at most one prediction can match an annotation
_MAX_VOID_PART = 0.5  # a prediction that lies further in void and crowd is no false positive


@dataclass(frozen=True, slots=True)
class Segment:
    """A thing, or all of one stuff class."""

    segment_id: int  # value in the id map; not VOID
    category_id: int  # row of the vocabulary, 0..K-1
    is_crowd: bool = False  # annotated as a group: neither found nor missed

    def __post_init__(self) -> None:
        if self.segment_id == VOID:
            raise InputError(f"expected a segment id other than {VOID}, which means void; number segments from 1")


@dataclass(frozen=True, slots=True)
class PanopticMap:
    """Segments of a picture or of the frames of a video; an id means the same segment in every frame."""

    ids: LabelMap  # [H, W] or [T, H, W]
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Overlaps:
    """How many pixels carry each pair of a predicted and a true id."""

    predicted_ids: npt.NDArray[np.int64]  # [N]
    true_ids: npt.NDArray[np.int64]  # [N]
    num_pixels: npt.NDArray[np.int64]  # [N], each at least 1


@dataclass(frozen=True, slots=True)
class PanopticTally:
    """What PQ is made of, by class; tallies of pictures or windows add up."""

    iou_sum: npt.NDArray[np.float64]  # [K] over matched pairs
    true_positives: npt.NDArray[np.int64]  # [K]
    false_positives: npt.NDArray[np.int64]  # [K]
    false_negatives: npt.NDArray[np.int64]  # [K]

    def __add__(self, other: "PanopticTally") -> "PanopticTally":
        return PanopticTally(
            self.iou_sum + other.iou_sum,
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )


@dataclass(frozen=True, slots=True)
class PanopticQuality:
    """PQ, SQ and RQ in [0, 1]; of one class, or means over the classes that occur. NaN when none does."""

    pq: float
    sq: float  # mean IoU of matched segments; 0 for a class without a match
    rq: float  # F1 of detection
    num_classes: int


@dataclass(frozen=True, slots=True)
class PanopticReport:
    """Quality over all classes, over things, over stuff, and of each class."""

    all: PanopticQuality
    things: PanopticQuality
    stuff: PanopticQuality
    classes: tuple[PanopticQuality, ...]  # [K]


def empty_tally(num_classes: int) -> PanopticTally:
    """Give the tally of nothing: the start of a sum."""
    counts = np.zeros((3, num_classes), dtype=np.int64)
    return PanopticTally(np.zeros(num_classes), counts[0], counts[1], counts[2])


def tally(predicted: PanopticMap, truth: PanopticMap, num_classes: int) -> PanopticTally:
    """Match the segments of two maps; with a time axis, a segment is the tube through all frames.

    Raises:
        InputError: for maps of different shapes, a predicted id without a segment, or a category outside 0..K-1.
    """
    return match(overlaps(predicted.ids, truth.ids), predicted.segments, truth.segments, num_classes)


def overlaps(predicted_ids: LabelMap, true_ids: LabelMap) -> Overlaps:
    """Count pixels by pairs of ids.

    Raises:
        InputError: for maps of different shapes, or ids below 0 or of 2^31 and more.
    """
    check_shapes(predicted_ids, true_ids)
    if predicted_ids.size == 0:
        nothing = np.zeros(0, dtype=np.int64)
        return Overlaps(nothing, nothing, nothing)
    if min(predicted_ids.min(), true_ids.min()) < 0 or max(predicted_ids.max(), true_ids.max()) >= _MAX_ID:
        raise InputError(
            f"expected ids 0..{_MAX_ID - 1}, got {predicted_ids.min()}..{predicted_ids.max()} predicted and "
            f"{true_ids.min()}..{true_ids.max()} annotated; number segments from 1, {VOID} is void"
        )
    base = int(true_ids.max()) + 1
    pairs, counts = np.unique(predicted_ids.astype(np.int64) * base + true_ids, return_counts=True)
    return Overlaps(pairs // base, pairs % base, counts.astype(np.int64))


def match(
    pixels: Overlaps, predicted: tuple[Segment, ...], truth: tuple[Segment, ...], num_classes: int
) -> PanopticTally:
    """Match segments whose IoU exceeds one half, void and crowd left out as in the panoptic API.

    True ids without a segment are void. Segments without a pixel in `pixels` do not take part.

    Raises:
        InputError: for a predicted id without a segment, or a category outside 0..K-1.
    """
    predicted_by_id, true_by_id = segments_by_id(predicted, num_classes), segments_by_id(truth, num_classes)
    areas = _measure(pixels, predicted_by_id, true_by_id)
    iou_sum, true_positives = np.zeros(num_classes), np.zeros(num_classes, dtype=np.int64)
    matched_predictions: set[int] = set()
    matched_annotations: set[int] = set()
    for predicted_id, true_id, num_pixels in _pairs(pixels):
        segment, annotation = predicted_by_id.get(predicted_id), true_by_id.get(true_id)
        if segment is None or annotation is None or annotation.is_crowd:
            continue
        if segment.category_id != annotation.category_id:
            continue
        union = areas.predicted[predicted_id] + areas.true[true_id] - num_pixels - areas.void[predicted_id]
        if num_pixels / union > _MATCH_IOU:
            iou_sum[annotation.category_id] += num_pixels / union
            true_positives[annotation.category_id] += 1
            matched_predictions.add(predicted_id)
            matched_annotations.add(true_id)

    missed = [true_by_id[true_id] for true_id in areas.true if true_id not in matched_annotations]
    invented = [
        predicted_by_id[predicted_id]
        for predicted_id, area in areas.predicted.items()
        if predicted_id not in matched_predictions
        and areas.void[predicted_id] + areas.crowd[predicted_id] <= _MAX_VOID_PART * area
    ]
    return PanopticTally(
        iou_sum,
        true_positives,
        _count_by_class(invented, num_classes),
        _count_by_class([segment for segment in missed if not segment.is_crowd], num_classes),
    )


def summarize(total: PanopticTally, is_thing: tuple[bool, ...]) -> PanopticReport:
    """Turn counts into PQ, SQ and RQ; classes that are neither annotated nor predicted do not take part.

    Args:
        total: the sum over a data set.
        is_thing: [K].
    """
    halves = total.true_positives + 0.5 * total.false_positives + 0.5 * total.false_negatives
    does_occur = halves > 0
    pq = ratio(total.iou_sum, halves)
    rq = ratio(total.true_positives, halves)
    sq = np.where(does_occur, np.nan_to_num(ratio(total.iou_sum, total.true_positives)), np.nan)
    things = np.array(is_thing, dtype=np.bool_)

    def quality(chosen: npt.NDArray[np.bool_]) -> PanopticQuality:
        return PanopticQuality(
            nan_mean(pq[chosen]), nan_mean(sq[chosen]), nan_mean(rq[chosen]), int(np.count_nonzero(does_occur & chosen))
        )

    classes = tuple(
        PanopticQuality(float(pq[row]), float(sq[row]), float(rq[row]), int(does_occur[row])) for row in range(len(pq))
    )
    return PanopticReport(quality(np.ones_like(things)), quality(things), quality(~things), classes)


@dataclass(frozen=True, slots=True)
class _Areas:
    """Pixels by id; `void` and `crowd` (of the same class) are parts of the predicted segments."""

    predicted: Counter[int]
    true: Counter[int]
    void: Counter[int]
    crowd: Counter[int]


def _measure(pixels: Overlaps, predicted_by_id: dict[int, Segment], true_by_id: dict[int, Segment]) -> _Areas:
    areas = _Areas(Counter(), Counter(), Counter(), Counter())
    for predicted_id, true_id, num_pixels in _pairs(pixels):
        segment, annotation = predicted_by_id.get(predicted_id), true_by_id.get(true_id)
        if segment is not None:
            areas.predicted[predicted_id] += num_pixels
        elif predicted_id != VOID:
            raise InputError(
                f"expected a segment for every predicted id but {VOID}, got id {predicted_id} on {num_pixels} pixels "
                f"and segments {sorted(predicted_by_id)[:8]}; list it, or paint it {VOID}"
            )
        if annotation is None:
            areas.void[predicted_id] += num_pixels
            continue
        areas.true[true_id] += num_pixels
        if annotation.is_crowd and segment is not None and segment.category_id == annotation.category_id:
            areas.crowd[predicted_id] += num_pixels
    return areas


def _pairs(pixels: Overlaps) -> list[tuple[int, int, int]]:
    columns = (pixels.predicted_ids.tolist(), pixels.true_ids.tolist(), pixels.num_pixels.tolist())
    return list(zip(*columns, strict=True))


def segments_by_id(segments: tuple[Segment, ...], num_classes: int) -> dict[int, Segment]:
    """Index segments.

    Raises:
        InputError: for a category outside 0..K-1.
    """
    for segment in segments:
        if not 0 <= segment.category_id < num_classes:
            raise InputError(
                f"expected categories 0..{num_classes - 1}, got {segment.category_id} of segment {segment.segment_id}; "
                "translate the data set's ids to rows of its vocabulary"
            )
    return {segment.segment_id: segment for segment in segments}


def _count_by_class(segments: list[Segment], num_classes: int) -> npt.NDArray[np.int64]:
    categories = np.array([segment.category_id for segment in segments], dtype=np.int64)
    return np.bincount(categories, minlength=num_classes).astype(np.int64)
