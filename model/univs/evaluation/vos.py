"""Region similarity J and boundary accuracy F of video object segmentation.

Source: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", 2016.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Mask: TypeAlias = npt.NDArray[np.bool_]

BOUNDARY_TOLERANCE = 0.008  # fraction of the frame's diagonal


@dataclass(frozen=True, slots=True)
class FrameScore:
    """J and F of one object in one frame, each in [0, 1]."""

    region: float
    boundary: float


@dataclass(frozen=True, slots=True)
class ClipScore:
    """J and F of one clip: means over its frames."""

    clip: str
    region: float
    boundary: float
    num_frames: int

    @property
    def mean(self) -> float:
        """J&F: the mean of J and F."""
        return (self.region + self.boundary) / 2


def region_similarity(predicted: Mask, truth: Mask) -> float:
    """Give J: intersection over union of two masks [H, W]; 1 when both are empty."""
    _check_sizes(predicted, truth)
    union = int(np.count_nonzero(predicted | truth))
    if union == 0:
        return 1.0
    return int(np.count_nonzero(predicted & truth)) / union


def boundary_accuracy(predicted: Mask, truth: Mask, tolerance: float = BOUNDARY_TOLERANCE) -> float:
    """Give F: the harmonic mean of boundary precision and recall of two masks [H, W].

    A boundary pixel counts as found when the other boundary passes within `tolerance` times the diagonal,
    rounded up to whole pixels.
    """
    _check_sizes(predicted, truth)
    radius_px = math.ceil(tolerance * math.hypot(*truth.shape))
    predicted_boundary, true_boundary = boundary(predicted), boundary(truth)
    num_predicted = int(np.count_nonzero(predicted_boundary))
    num_true = int(np.count_nonzero(true_boundary))
    if num_predicted == 0 or num_true == 0:
        return 1.0 if num_predicted == num_true else 0.0

    precision = np.count_nonzero(predicted_boundary & dilate(true_boundary, radius_px)) / num_predicted
    recall = np.count_nonzero(true_boundary & dilate(predicted_boundary, radius_px)) / num_true
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def score_frame(predicted: Mask, truth: Mask) -> FrameScore:
    """Give J and F of two masks [H, W]."""
    return FrameScore(region_similarity(predicted, truth), boundary_accuracy(predicted, truth))


def score_clip(clip: str, frames: Iterable[tuple[Mask, Mask]]) -> ClipScore:
    """Give the means of J and F over pairs of predicted and true masks of a clip.

    Which frames take part is the caller's choice; the protocol of single-object video leaves out the first
    frame, whose mask is given, and the last (`scored_frames`).

    Raises:
        ValueError: when there is no frame to score.
    """
    scores = [score_frame(predicted, truth) for predicted, truth in frames]
    if not scores:
        raise ValueError(f"clip {clip!r} has no frame to score; the protocol needs at least three frames")
    return ClipScore(
        clip=clip,
        region=float(np.mean([score.region for score in scores])),
        boundary=float(np.mean([score.boundary for score in scores])),
        num_frames=len(scores),
    )


def scored_frames(num_frames: int) -> range:
    """Give the frames that count in single-object video: all but the first and the last."""
    return range(1, max(1, num_frames - 1))


def boundary(mask: Mask) -> Mask:
    """Mark pixels that differ from their right, lower or lower-right neighbour: bool [H, W].

    The last row looks right only, the last column down only, the last pixel is never marked: so does the
    official evaluator.
    """
    marked = np.zeros_like(mask)
    here = mask[:-1, :-1]
    marked[:-1, :-1] = (here ^ mask[:-1, 1:]) | (here ^ mask[1:, :-1]) | (here ^ mask[1:, 1:])
    marked[-1, :-1] = mask[-1, :-1] ^ mask[-1, 1:]
    marked[:-1, -1] = mask[:-1, -1] ^ mask[1:, -1]
    return marked


def dilate(mask: Mask, radius_px: int) -> Mask:
    """Dilate a mask [H, W] by a disk: mark every pixel within `radius_px` of a marked one.

    The disk is a stack of horizontal runs; a run is a difference of two running sums.
    """
    height, width = mask.shape
    padded = np.pad(mask, ((radius_px, radius_px), (radius_px + 1, radius_px)))
    sums = np.cumsum(padded, axis=1, dtype=np.int32)  # [H + 2r, W + 2r + 1]
    dilated = np.zeros_like(mask)
    for offset in range(-radius_px, radius_px + 1):
        half = math.isqrt(radius_px * radius_px - offset * offset)
        rows = sums[radius_px + offset : radius_px + offset + height]
        right = rows[:, radius_px + 1 + half : radius_px + 1 + half + width]
        left = rows[:, radius_px - half : radius_px - half + width]
        dilated |= right > left
    return dilated


def _check_sizes(predicted: Mask, truth: Mask) -> None:
    if predicted.shape != truth.shape:
        raise ValueError(
            f"masks must have one size, got {predicted.shape} and {truth.shape}; "
            "resize the prediction to the annotation"
        )
