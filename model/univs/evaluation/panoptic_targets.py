"""Eight figures of panoptic video object segmentation: mask and boundary IoU of things and stuff, seen and unseen.

Source: Xu et al., "Video Object Segmentation in Panoptic Wild Scenes" (VIPOSeg), IJCAI 2023. As in its evaluator, all
objects of all frames are averaged together, and an object counts from the frame after its reference.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from univs.evaluation.boundary_iou import boundary_iou
from univs.evaluation.semantic import LabelMap, ratio
from univs.evaluation.vos import region_similarity

_NUM_LOADS = 60  # frames with as many objects or more do not take part in the decay


@dataclass(frozen=True, slots=True)
class PanopticTarget:
    """An object to follow, a thing or a stuff region."""

    object_id: int  # label in the maps
    first_position: int  # position, among the frames, of the one whose mask is given
    is_thing: bool
    is_seen: bool  # whether its class occurs in the training split


@dataclass(frozen=True, slots=True)
class TargetTally:
    """Sums over objects and frames; tallies of videos add up."""

    mask_sum: npt.NDArray[np.float64]  # [2, 2]: things, stuff x seen, unseen
    boundary_sum: npt.NDArray[np.float64]  # [2, 2]
    num_scored: npt.NDArray[np.int64]  # [2, 2]
    load_sum: npt.NDArray[np.float64]  # [60] of (mask + boundary) / 2, by the number of objects of the frame
    num_by_load: npt.NDArray[np.int64]  # [60]

    def __add__(self, other: "TargetTally") -> "TargetTally":
        return TargetTally(
            self.mask_sum + other.mask_sum,
            self.boundary_sum + other.boundary_sum,
            self.num_scored + other.num_scored,
            self.load_sum + other.load_sum,
            self.num_by_load + other.num_by_load,
        )


@dataclass(frozen=True, slots=True)
class PanopticTargetReport:
    """The eight figures, in [0, 1]; NaN for a group without objects."""

    thing_seen_mask: float
    thing_unseen_mask: float
    stuff_seen_mask: float
    stuff_unseen_mask: float
    thing_seen_boundary: float
    thing_unseen_boundary: float
    stuff_seen_boundary: float
    stuff_unseen_boundary: float
    decay: float  # c of exp(-c n / 100), fitted to the scores of frames with n objects; NaN when nothing can be fitted

    @property
    def overall_mask(self) -> float:
        """Mean mask IoU of the four groups."""
        return (self.thing_seen_mask + self.thing_unseen_mask + self.stuff_seen_mask + self.stuff_unseen_mask) / 4

    @property
    def overall_boundary(self) -> float:
        """Mean boundary IoU of the four groups."""
        things = self.thing_seen_boundary + self.thing_unseen_boundary
        return (things + self.stuff_seen_boundary + self.stuff_unseen_boundary) / 4

    @property
    def overall(self) -> float:
        """G: the mean of the eight."""
        return (self.overall_mask + self.overall_boundary) / 2


def tally(frames: Iterable[tuple[LabelMap, LabelMap]], targets: Sequence[PanopticTarget]) -> TargetTally:
    """Score the objects of one video.

    Args:
        frames: predicted and true label maps [H, W] of all frames, in order.
        targets: objects of the video.
    Raises:
        ValueError: for maps of different shapes.
    """
    sums = np.zeros((2, 2, 2))  # mask, boundary x things, stuff x seen, unseen
    counts = np.zeros((2, 2), dtype=np.int64)
    load_sum, num_by_load = np.zeros(_NUM_LOADS), np.zeros(_NUM_LOADS, dtype=np.int64)
    for position, (predicted, truth) in enumerate(frames):
        present = [target for target in targets if position > target.first_position]
        for target in present:
            masks = (predicted == target.object_id, truth == target.object_id)
            scores = (region_similarity(*masks), boundary_iou(*masks))
            group = (int(not target.is_thing), int(not target.is_seen))
            sums[:, *group] += scores
            counts[group] += 1
            if len(present) < _NUM_LOADS:
                load_sum[len(present)] += sum(scores) / 2
                num_by_load[len(present)] += 1
    return TargetTally(sums[0], sums[1], counts, load_sum, num_by_load)


def summarize(total: TargetTally) -> PanopticTargetReport:
    """Turn a sum over a data set into the eight figures."""
    masks, boundaries = ratio(total.mask_sum, total.num_scored), ratio(total.boundary_sum, total.num_scored)
    return PanopticTargetReport(
        thing_seen_mask=float(masks[0, 0]),
        thing_unseen_mask=float(masks[0, 1]),
        stuff_seen_mask=float(masks[1, 0]),
        stuff_unseen_mask=float(masks[1, 1]),
        thing_seen_boundary=float(boundaries[0, 0]),
        thing_unseen_boundary=float(boundaries[0, 1]),
        stuff_seen_boundary=float(boundaries[1, 0]),
        stuff_unseen_boundary=float(boundaries[1, 1]),
        decay=_decay(ratio(total.load_sum, total.num_by_load)),
    )


def _decay(score_by_load: npt.NDArray[np.float64]) -> float:
    """Fit c in score = exp(-c n / 100) by least squares of the logarithm, through the origin."""
    (loads,) = np.nonzero(np.nan_to_num(score_by_load) > 0)
    if loads.size == 0:
        return math.nan
    hundreds = loads / 100
    return float(-(hundreds @ np.log(score_by_load[loads])) / (hundreds @ hundreds))
