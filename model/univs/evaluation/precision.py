"""Average precision and recall of scored instances, from IoUs: the matching and the integral that COCO defined.

Source: Lin et al., "Microsoft COCO: Common Objects in Context", 2014, and its evaluator; `video_instances` gives the
IoUs of tracks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from univs.evaluation.semantic import nan_mean

Floats = npt.NDArray[np.float64]

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = (1, 10, 100)  # per picture or video, and class
_AP50, _AP75 = 0, 5  # rows of IOU_THRESHOLDS
_LARGEST_IOU = 1 - 1e-10  # so that a threshold of 1 can be reached


@dataclass(frozen=True, slots=True)
class AreaRanges:
    """Sizes of instances in square pixels: small below the first bound, large above the second."""

    small_below: float
    large_from: float

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """All, small, medium, large; both ends of a range belong to it."""
        return (
            (0.0, 1e10),
            (0.0, self.small_below),
            (self.small_below, self.large_from),
            (self.large_from, 1e10),
        )


IMAGE_AREAS = AreaRanges(32.0**2, 96.0**2)
VIDEO_AREAS = AreaRanges(128.0**2, 256.0**2)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Predictions and annotations of one class in one picture or video."""

    scores: Floats  # [D]
    areas: Floats  # [D]
    iou: Floats  # [D, G]
    true_areas: Floats  # [G]
    is_crowd: npt.NDArray[np.bool_]  # [G]: may be matched often, counts neither as found nor as missed


@dataclass(frozen=True, slots=True)
class Precision:
    """AP and AR in [0, 1]; NaN where nothing is annotated. AP takes 100 predictions, IoU 0.5 to 0.95 unless named."""

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar1: float
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float


@dataclass(frozen=True, slots=True)
class InstanceReport:
    """Figures over all classes (means of what is annotated) and of each class, in the order given."""

    all: Precision
    classes: tuple[Precision, ...]


@dataclass(frozen=True, slots=True)
class _Matches:
    """The outcome in one picture or video, best score first."""

    scores: Floats  # [D]
    is_matched: npt.NDArray[np.bool_]  # [thresholds, D]
    is_ignored: npt.NDArray[np.bool_]  # [thresholds, D]
    num_true: int  # annotations that count

    def first(self, limit: int) -> "_Matches":
        """Keep the best predictions; a match does not depend on worse ones."""
        return _Matches(self.scores[:limit], self.is_matched[:, :limit], self.is_ignored[:, :limit], self.num_true)


def evaluate_classes(classes: Sequence[Sequence[Candidates]], areas: AreaRanges) -> InstanceReport:
    """Give AP and AR.

    Args:
        classes: for each class, the pictures or videos in which it is annotated or predicted, in a fixed order
            (equal scores of different videos keep it).
        areas: what is small, medium and large.
    """
    shape = (len(IOU_THRESHOLDS), len(classes), len(areas.bounds), len(MAX_DETECTIONS))
    precision = np.full((shape[0], len(RECALL_POINTS), *shape[1:]), np.nan)
    recall = np.full(shape, np.nan)
    for row, items in enumerate(classes):
        for column, bounds in enumerate(areas.bounds):
            matches = [_match(item, bounds) for item in items]
            for place, limit in enumerate(MAX_DETECTIONS):
                kept = [item.first(limit) for item in matches]
                precision[:, :, row, column, place], recall[:, row, column, place] = _integrate(kept)
    return report(precision, recall)


def report(precision: Floats, recall: Floats) -> InstanceReport:
    """Turn tables into figures.

    Args:
        precision: [thresholds, recall points, K, areas, limits], NaN where nothing is annotated.
        recall: [thresholds, K, areas, limits], NaN likewise.
    """

    def figures(rows: slice) -> Precision:
        chosen, found = precision[:, :, rows], recall[:, rows]
        return Precision(
            ap=nan_mean(chosen[..., 0, 2]),
            ap50=nan_mean(chosen[_AP50, ..., 0, 2]),
            ap75=nan_mean(chosen[_AP75, ..., 0, 2]),
            ap_small=nan_mean(chosen[..., 1, 2]),
            ap_medium=nan_mean(chosen[..., 2, 2]),
            ap_large=nan_mean(chosen[..., 3, 2]),
            ar1=nan_mean(found[..., 0, 0]),
            ar10=nan_mean(found[..., 0, 1]),
            ar100=nan_mean(found[..., 0, 2]),
            ar_small=nan_mean(found[..., 1, 2]),
            ar_medium=nan_mean(found[..., 2, 2]),
            ar_large=nan_mean(found[..., 3, 2]),
        )

    num_classes = recall.shape[1]
    return InstanceReport(figures(slice(None)), tuple(figures(slice(row, row + 1)) for row in range(num_classes)))


def _match(item: Candidates, bounds: tuple[float, float]) -> _Matches:
    """Give each prediction, best first, the best annotation that is left, ignored ones last."""
    order = np.argsort(-item.scores, kind="stable")[: MAX_DETECTIONS[-1]]
    is_ignored = item.is_crowd | _is_outside(item.true_areas, bounds)
    columns = np.argsort(is_ignored, kind="stable")
    iou = item.iou[np.ix_(order, columns)]
    is_ignored, is_crowd = is_ignored[columns], item.is_crowd[columns]
    outcome = np.zeros((2, len(IOU_THRESHOLDS), len(order)), dtype=np.bool_)  # matched, ignored
    for row, threshold in enumerate(IOU_THRESHOLDS):
        is_free = np.ones(len(columns), dtype=np.bool_)
        for place in range(len(order)):
            chosen = _best(iou[place], is_free | is_crowd, is_ignored, min(threshold, _LARGEST_IOU))
            if chosen is not None:
                is_free[chosen] = False
                outcome[:, row, place] = (True, is_ignored[chosen])
    outcome[1] |= ~outcome[0] & _is_outside(item.areas[order], bounds)
    return _Matches(item.scores[order], outcome[0], outcome[1], int(np.count_nonzero(~is_ignored)))


def _best(
    iou: Floats, is_open: npt.NDArray[np.bool_], is_ignored: npt.NDArray[np.bool_], threshold: float
) -> int | None:
    """Choose an annotation: the last of the largest IoU, among those that count before those that are ignored."""
    for group in (~is_ignored, is_ignored):
        (columns,) = np.nonzero(group & is_open & (iou >= threshold))
        if columns.size:
            return int(columns[np.flatnonzero(iou[columns] == iou[columns].max())[-1]])
    return None


def _integrate(matches: Sequence[_Matches]) -> tuple[Floats, Floats]:
    """Give precision at each recall point [thresholds, points], and the recall reached [thresholds]."""
    num_true = sum(item.num_true for item in matches)
    shape = (len(IOU_THRESHOLDS), len(RECALL_POINTS))
    if num_true == 0:
        return np.full(shape, np.nan), np.full(shape[0], np.nan)
    order = np.argsort(-np.concatenate([item.scores for item in matches]), kind="stable")
    is_matched = np.concatenate([item.is_matched for item in matches], axis=1)[:, order]
    is_ignored = np.concatenate([item.is_ignored for item in matches], axis=1)[:, order]
    hits = np.cumsum(is_matched & ~is_ignored, axis=1).astype(np.float64)
    misses = np.cumsum(~is_matched & ~is_ignored, axis=1).astype(np.float64)
    precision = np.zeros(shape)
    if order.size == 0:
        return precision, np.zeros(shape[0])
    recall = hits / num_true
    raw = hits / (hits + misses + np.spacing(1))
    envelope = np.maximum.accumulate(raw[:, ::-1], axis=1)[:, ::-1]
    for row in range(shape[0]):
        places = np.searchsorted(recall[row], RECALL_POINTS, side="left")
        is_reached = places < order.size
        precision[row, is_reached] = envelope[row, places[is_reached]]
    return precision, recall[:, -1]


def _is_outside(areas: Floats, bounds: tuple[float, float]) -> npt.NDArray[np.bool_]:
    return (areas < bounds[0]) | (areas > bounds[1])
