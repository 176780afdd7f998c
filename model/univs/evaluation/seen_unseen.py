"""G: J and F over objects of classes seen in training and of classes unseen, averaged.

Source: Xu et al., "YouTube-VOS: A Large-Scale Video Object Segmentation Benchmark", 2018. An object counts from the
frame after its first one, whose mask is given; its figures are means over its frames, a group's over its objects.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from univs.evaluation.semantic import LabelMap, nan_mean
from univs.evaluation.vos import FrameScore, score_frame


@dataclass(frozen=True, slots=True)
class Target:
    """An object to follow."""

    object_id: int  # label in the maps
    first_position: int  # position, among the annotated frames, of the one whose mask is given
    is_seen: bool  # whether its class occurs in the training split


@dataclass(frozen=True, slots=True)
class TargetScore:
    """Means of J and F over the frames of one object."""

    region: float
    boundary: float
    is_seen: bool
    num_frames: int


@dataclass(frozen=True, slots=True)
class SeenUnseenReport:
    """Means over objects, in [0, 1]; NaN for a group without objects."""

    region_seen: float
    region_unseen: float
    boundary_seen: float
    boundary_unseen: float

    @property
    def overall(self) -> float:
        """G: the mean of the four."""
        return (self.region_seen + self.region_unseen + self.boundary_seen + self.boundary_unseen) / 4


def score_targets(frames: Iterable[tuple[LabelMap, LabelMap]], targets: Sequence[Target]) -> tuple[TargetScore, ...]:
    """Score the objects of one video; an object that is given in the last frame has no score.

    Args:
        frames: predicted and true label maps [H, W] of all annotated frames, in order, the first one included.
        targets: objects of the video.
    Raises:
        ValueError: for maps of different shapes.
    """
    collected: list[list[FrameScore]] = [[] for _ in targets]
    for position, (predicted, truth) in enumerate(frames):
        for row, target in enumerate(targets):
            if position > target.first_position:
                collected[row].append(score_frame(predicted == target.object_id, truth == target.object_id))
    return tuple(
        TargetScore(
            float(np.mean([score.region for score in scores])),
            float(np.mean([score.boundary for score in scores])),
            target.is_seen,
            len(scores),
        )
        for target, scores in zip(targets, collected, strict=True)
        if scores
    )


def summarize(scores: Iterable[TargetScore]) -> SeenUnseenReport:
    """Give the means over the objects of all videos."""
    every = tuple(scores)
    seen = [score for score in every if score.is_seen]
    unseen = [score for score in every if not score.is_seen]
    return SeenUnseenReport(
        region_seen=nan_mean([score.region for score in seen]),
        region_unseen=nan_mean([score.region for score in unseen]),
        boundary_seen=nan_mean([score.boundary for score in seen]),
        boundary_unseen=nan_mean([score.boundary for score in unseen]),
    )
