"""Video panoptic quality VPQ: PQ of tubes through windows of frames, averaged over window lengths.

Source: Kim et al., "Video Panoptic Segmentation", CVPR 2020; window lengths as for VIPSeg (Miao et al., CVPR 2022).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from univs.errors import InputError
from univs.evaluation.panoptic import (
    Overlaps,
    PanopticMap,
    PanopticReport,
    PanopticTally,
    empty_tally,
    match,
    overlaps,
    summarize,
)
from univs.evaluation.semantic import check_shapes, nan_mean

OFFICIAL_WINDOWS = (1, 2, 4, 6)


@dataclass(frozen=True, slots=True)
class VideoPanopticReport:
    """VPQ of a data set, each figure in [0, 1]; NaN where nothing was counted."""

    vpq: float  # mean over window lengths of the mean over classes
    things: float
    stuff: float
    classes: tuple[float, ...]  # [K], mean over window lengths
    windows: tuple[PanopticReport, ...]  # one per window length


def window_tallies(
    predicted: PanopticMap, truth: PanopticMap, num_classes: int, windows: Sequence[int] = OFFICIAL_WINDOWS
) -> tuple[PanopticTally, ...]:
    """Count the tubes of one video in every window, for each window length.

    A window starts at every frame that leaves room for it; a video shorter than a window adds nothing there.

    Args:
        predicted: ids [T, H, W]; an id is one tube of one class.
        truth: ids [T, H, W].
        num_classes: K.
        windows: lengths in frames, each at least 1.
    Raises:
        InputError: for maps of different shapes, unknown ids or categories, or a window below 1.
    """
    check_shapes(predicted.ids, truth.ids)
    if min(windows) < 1:
        raise InputError(f"windows must hold at least one frame, got {tuple(windows)}; {OFFICIAL_WINDOWS} are usual")
    frames = [overlaps(*maps) for maps in zip(predicted.ids, truth.ids, strict=True)]
    tallies = []
    for window in windows:
        total = empty_tally(num_classes)
        for start in range(len(frames) - window + 1):
            pixels = _together(frames[start : start + window])
            total = total + match(pixels, predicted.segments, truth.segments, num_classes)
        tallies.append(total)
    return tuple(tallies)


def summarize_windows(totals: Sequence[PanopticTally], is_thing: tuple[bool, ...]) -> VideoPanopticReport:
    """Turn sums over a data set, one per window length, into VPQ.

    Args:
        totals: for each window length the sum over videos.
        is_thing: [K].
    """
    reports = tuple(summarize(total, is_thing) for total in totals)
    return VideoPanopticReport(
        vpq=nan_mean([report.all.pq for report in reports]),
        things=nan_mean([report.things.pq for report in reports]),
        stuff=nan_mean([report.stuff.pq for report in reports]),
        classes=tuple(nan_mean([report.classes[row].pq for report in reports]) for row in range(len(is_thing))),
        windows=reports,
    )


def _together(frames: Sequence[Overlaps]) -> Overlaps:
    """Add the overlaps of several frames."""
    pairs = np.concatenate([np.stack([frame.predicted_ids, frame.true_ids]) for frame in frames], axis=1)  # [2, N]
    num_pixels = np.concatenate([frame.num_pixels for frame in frames])
    distinct, places = np.unique(pairs, axis=1, return_inverse=True)
    counts = np.zeros(distinct.shape[1], dtype=np.int64)
    np.add.at(counts, places.reshape(-1), num_pixels)
    return Overlaps(distinct[0], distinct[1], counts)
