"""J and F of several objects a clip: mean, recall and decay, as DAVIS 2017 reports them.

Source: Pont-Tuset et al., "The 2017 DAVIS Challenge on Video Object Segmentation", 2017; recall and decay from Perazzi
et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR 2016.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from univs.errors import InputError
from univs.evaluation.semantic import LabelMap
from univs.evaluation.vos import score_frame

_GOOD = 0.5  # frames above it count for recall
_NUM_QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Course:
    """One measure over the frames of a clip, or its means over objects."""

    mean: float  # in [0, 1]
    recall: float  # part of the frames above one half
    decay: float  # mean of the first quarter less that of the last: what is lost on the way


@dataclass(frozen=True, slots=True)
class ObjectScore:
    """J and F of one object of one clip."""

    clip: str
    object_id: int
    region: Course
    boundary: Course
    num_frames: int


@dataclass(frozen=True, slots=True)
class ObjectsReport:
    """Means over the objects of all clips; every object weighs the same."""

    region: Course
    boundary: Course
    objects: tuple[ObjectScore, ...]

    @property
    def mean(self) -> float:
        """J&F: the mean of J and F."""
        return (self.region.mean + self.boundary.mean) / 2


def score_objects(
    clip: str, frames: Iterable[tuple[LabelMap, LabelMap]], object_ids: Sequence[int]
) -> tuple[ObjectScore, ...]:
    """Score each object of a clip against the prediction of the same id.

    Args:
        clip: its name.
        frames: predicted and true label maps [H, W] of the frames that count, in order; semi-supervised DAVIS
            leaves out the first and the last (`vos.scored_frames`). A label is an object id, anything else
            background; so is void, as in the official evaluator.
        object_ids: ids in the true maps.
    Raises:
        InputError: without a frame.
        ValueError: for maps of different shapes.
    """
    regions, boundaries = _values(clip, frames, object_ids, object_ids, is_paired=True)
    rows = np.arange(len(object_ids))
    return _scores(clip, object_ids, regions[rows, rows], boundaries[rows, rows])


def score_proposals(
    clip: str,
    frames: Iterable[tuple[LabelMap, LabelMap]],
    object_ids: Sequence[int],
    proposal_ids: Sequence[int],
) -> tuple[ObjectScore, ...]:
    """Score each object against the prediction that an optimal assignment gives it: the unsupervised protocol.

    The assignment maximises J&F of the clip; an object without a prediction is compared with an empty one.

    Args:
        clip: its name.
        frames: predicted and true label maps [H, W], all frames of the clip.
        object_ids: ids in the true maps.
        proposal_ids: ids in the predicted maps.
    Raises:
        InputError: without a frame.
        ValueError: for maps of different shapes.
    """
    unused = -1 - max([0, *(abs(number) for number in proposal_ids)])  # an id that no map holds: empty masks
    padded = [*proposal_ids, *[unused] * max(0, len(object_ids) - len(proposal_ids))]
    regions, boundaries = _values(clip, frames, object_ids, padded, is_paired=False)
    means = (regions.mean(axis=2) + boundaries.mean(axis=2)) / 2
    rows, columns = linear_sum_assignment(-means)
    order = np.argsort(columns)
    return _scores(clip, object_ids, regions[rows[order], columns[order]], boundaries[rows[order], columns[order]])


def summarize(scores: Iterable[ObjectScore]) -> ObjectsReport:
    """Give the means over objects.

    Raises:
        InputError: without an object.
    """
    objects = tuple(scores)
    if not objects:
        raise InputError("expected the score of at least one object, got none; check the split and its annotations")
    return ObjectsReport(
        _mean([score.region for score in objects]), _mean([score.boundary for score in objects]), objects
    )


def course(values: npt.NDArray[np.float64]) -> Course:
    """Give mean, recall and decay of the values [T] of a clip, T at least 1.

    Quarters share their border frames, as in the official evaluator.
    """
    borders = np.round(np.linspace(1, len(values), _NUM_QUARTERS + 1) + 1e-10).astype(np.int64) - 1
    first, last = values[: borders[1] + 1], values[borders[-2] : borders[-1] + 1]
    return Course(float(values.mean()), float((values > _GOOD).mean()), float(first.mean() - last.mean()))


def _values(
    clip: str,
    frames: Iterable[tuple[LabelMap, LabelMap]],
    object_ids: Sequence[int],
    proposal_ids: Sequence[int],
    is_paired: bool,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give J and F of proposals against objects in each frame: two of [P, O, T]; paired, the diagonal only."""
    measured = []
    for predicted, truth in frames:
        here = np.zeros((2, len(proposal_ids), len(object_ids)))
        for row, column in np.ndindex(len(proposal_ids), len(object_ids)):
            if not is_paired or row == column:
                score = score_frame(predicted == proposal_ids[row], truth == object_ids[column])
                here[:, row, column] = (score.region, score.boundary)
        measured.append(here)
    if not measured:
        raise InputError(f"expected at least one frame to score in clip {clip!r}, got none; three frames are needed")
    stacked = np.stack(measured, axis=-1)
    return stacked[0], stacked[1]


def _scores(
    clip: str, object_ids: Sequence[int], regions: npt.NDArray[np.float64], boundaries: npt.NDArray[np.float64]
) -> tuple[ObjectScore, ...]:
    return tuple(
        ObjectScore(clip, object_id, course(region), course(boundary), len(region))
        for object_id, region, boundary in zip(object_ids, regions, boundaries, strict=True)
    )


def _mean(courses: Sequence[Course]) -> Course:
    return Course(
        float(np.mean([each.mean for each in courses])),
        float(np.mean([each.recall for each in courses])),
        float(np.mean([each.decay for each in courses])),
    )
