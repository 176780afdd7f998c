"""Video consistency VC: does a prediction stand still where the annotation does?

Source: Miao et al., "VSPW: A Large-scale Dataset for Video Scene Parsing in the Wild", CVPR 2021. As in the released
evaluator, a window starts at every frame but the last `window` ones, void pixels take part, and the prediction has to
be constant, not right.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from univs.errors import InputError
from univs.evaluation.semantic import LabelMap, check_shapes, nan_mean

OFFICIAL_WINDOWS = (8, 16)


def window_consistencies(predicted: LabelMap, truth: LabelMap, window: int) -> npt.NDArray[np.float64]:
    """Give the VC of each window of a video: float64 [max(0, T - window)].

    Args:
        predicted: classes, [T, H, W].
        truth: classes, [T, H, W].
        window: number of frames; 8 and 16 are reported.
    Returns:
        Of the pixels whose true class is the same in all frames of the window, the part whose predicted class is;
        NaN for a window in which no pixel keeps its true class.
    Raises:
        InputError: for maps of different shapes or a window below 1.
    """
    check_shapes(predicted, truth)
    if window < 1:
        raise InputError(f"a window must hold at least one frame, got {window}; 8 and 16 are usual")
    num_windows = max(0, truth.shape[0] - window)
    if num_windows == 0:
        return np.zeros(0, dtype=np.float64)
    true_runs, predicted_runs = _runs_ahead(truth), _runs_ahead(predicted)
    values = np.empty(num_windows, dtype=np.float64)
    for start in range(num_windows):
        is_still = true_runs[start] >= window
        num_still = int(np.count_nonzero(is_still))
        num_kept = int(np.count_nonzero(is_still & (predicted_runs[start] >= window)))
        values[start] = num_kept / num_still if num_still else np.nan
    return values


def mean_consistency(videos: Iterable[npt.NDArray[np.float64]]) -> float:
    """Give mVC: the mean over the windows of all videos, as in the released evaluator; NaN when there is none."""
    return nan_mean(np.concatenate([np.zeros(0), *videos]))


def _runs_ahead(labels: LabelMap) -> npt.NDArray[np.int32]:
    """Count, for each pixel, the frames from here on that hold its class without a break: int32 [T, H, W]."""
    runs = np.ones(labels.shape, dtype=np.int32)
    for frame in range(labels.shape[0] - 2, -1, -1):
        runs[frame] += np.where(labels[frame] == labels[frame + 1], runs[frame + 1], 0)
    return runs
