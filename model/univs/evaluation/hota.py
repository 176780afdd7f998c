"""HOTA: how well objects are detected (DetA) and kept apart over time (AssA), in one figure.

Source: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from univs.errors import InputError

Floats = npt.NDArray[np.float64]

THRESHOLDS = np.arange(0.05, 0.99, 0.05)  # 19 similarities at which detections match
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class FramePairs:
    """Objects of one frame; ids are those of tracks, each at most once a frame."""

    true_ids: tuple[int, ...]  # [G]
    predicted_ids: tuple[int, ...]  # [P]
    similarity: Floats  # [G, P] in [0, 1], mask IoU

    def __post_init__(self) -> None:
        expected = (len(self.true_ids), len(self.predicted_ids))
        if self.similarity.shape != expected:
            raise InputError(f"expected a similarity of shape {expected} for as many ids, got {self.similarity.shape}")
        if len(set(self.true_ids)) != expected[0] or len(set(self.predicted_ids)) != expected[1]:
            raise InputError(
                f"expected each track once a frame, got {self.true_ids} and {self.predicted_ids}; join their masks"
            )


@dataclass(frozen=True, slots=True)
class HotaTally:
    """Sums by threshold, each [19]; tallies of videos add up."""

    true_positives: Floats
    false_negatives: Floats
    false_positives: Floats
    association_sum: Floats  # over true positives
    similarity_sum: Floats  # over true positives

    def __add__(self, other: "HotaTally") -> "HotaTally":
        return HotaTally(
            self.true_positives + other.true_positives,
            self.false_negatives + other.false_negatives,
            self.false_positives + other.false_positives,
            self.association_sum + other.association_sum,
            self.similarity_sum + other.similarity_sum,
        )

    @property
    def num_true(self) -> int:
        """Count annotated detections."""
        return int(self.true_positives[0] + self.false_negatives[0])


@dataclass(frozen=True, slots=True)
class HotaReport:
    """Means over thresholds, in [0, 1]."""

    hota: float
    detection: float  # DetA
    association: float  # AssA
    localization: float  # LocA: mean similarity of matches; 1 where there is none


def tally(frames: Sequence[FramePairs]) -> HotaTally:
    """Count one video.

    In each frame an assignment favours pairs of tracks that overlap throughout; a pair so chosen is a match at every
    threshold up to its similarity.
    """
    true_rows = {number: row for row, number in enumerate(sorted({i for frame in frames for i in frame.true_ids}))}
    columns = {number: row for row, number in enumerate(sorted({i for frame in frames for i in frame.predicted_ids}))}
    shape = (len(true_rows), len(columns))
    true_counts, predicted_counts, alignment = np.zeros((shape[0], 1)), np.zeros((1, shape[1])), np.zeros(shape)
    places = [
        ([true_rows[number] for number in frame.true_ids], [columns[number] for number in frame.predicted_ids])
        for frame in frames
    ]
    for frame, (rows, cells) in zip(frames, places, strict=True):
        alignment[np.ix_(rows, cells)] += _soft_overlap(frame.similarity)
        true_counts[rows] += 1
        predicted_counts[:, cells] += 1
    alignment = alignment / (true_counts + predicted_counts - alignment)

    num_thresholds = len(THRESHOLDS)
    matches = np.zeros((num_thresholds, *shape))
    similarity_sum = np.zeros(num_thresholds)
    for frame, (rows, cells) in zip(frames, places, strict=True):
        chosen = linear_sum_assignment(-alignment[np.ix_(rows, cells)] * frame.similarity)
        for i, j in zip(*chosen, strict=True):
            is_match = frame.similarity[i, j] >= THRESHOLDS - _EPSILON
            matches[is_match, rows[i], cells[j]] += 1
            similarity_sum[is_match] += frame.similarity[i, j]
    true_positives = matches.sum(axis=(1, 2))
    together = np.maximum(1, true_counts + predicted_counts - matches)
    return HotaTally(
        true_positives,
        true_counts.sum() - true_positives,
        predicted_counts.sum() - true_positives,
        (matches * matches / together).sum(axis=(1, 2)),
        similarity_sum,
    )


def summarize(total: HotaTally) -> HotaReport:
    """Turn a sum over videos into HOTA and its parts."""
    hits = total.true_positives
    detection = hits / np.maximum(1, hits + total.false_negatives + total.false_positives)
    association = total.association_sum / np.maximum(1, hits)
    localization = np.maximum(1e-10, total.similarity_sum) / np.maximum(1e-10, hits)
    return HotaReport(
        float(np.sqrt(detection * association).mean()),
        float(detection.mean()),
        float(association.mean()),
        float(localization.mean()),
    )


def _soft_overlap(similarity: Floats) -> Floats:
    """Share each similarity [G, P] with what competes for the same row and column."""
    competition = similarity.sum(axis=0, keepdims=True) + similarity.sum(axis=1, keepdims=True) - similarity
    return np.asarray(np.divide(similarity, competition, out=np.zeros_like(similarity), where=competition > _EPSILON))
