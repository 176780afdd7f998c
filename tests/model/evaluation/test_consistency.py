import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from univs.errors import InputError
from univs.evaluation.consistency import mean_consistency, window_consistencies
from univs.evaluation.semantic import LabelMap

from .shapes import labels, random_labels


def test_consistency_of_a_case_worked_by_hand() -> None:
    """Windows of 2 in 4 frames start at frames 0 and 1 (the last two starts are left out).

    Frames 0 and 1: truth keeps pixels 0, 1, 2; the prediction keeps 1, 2, 3: of three, two.
    Frames 1 and 2: truth keeps pixels 0, 3; the prediction keeps 0, 1, 2, 3: of two, two.
    """
    truth = np.stack([labels("1112"), labels("1113"), labels("1223"), labels("1223")])
    predicted = np.stack([labels("5112"), labels("6112"), labels("6112"), labels("0000")])
    values = window_consistencies(predicted, truth, 2)
    assert values.tolist() == pytest.approx([2 / 3, 1.0])
    assert mean_consistency([values, np.array([0.0])]) == pytest.approx((2 / 3 + 1.0 + 0.0) / 3)


def test_short_videos_and_windows_without_still_pixels_do_not_count() -> None:
    moving = np.stack([labels("0"), labels("1"), labels("0")])
    assert window_consistencies(moving, moving, 3).size == 0
    assert math.isnan(window_consistencies(moving, moving, 2)[0])
    assert math.isnan(mean_consistency([window_consistencies(moving, moving, 2)]))
    assert mean_consistency([np.array([math.nan, 0.5])]) == 0.5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_consistency_equals_comparing_every_frame_with_the_first(seed: int, window: int) -> None:
    truth, predicted = random_labels(seed, (7, 6, 6), 2), random_labels(seed + 1, (7, 6, 6), 2)
    values = window_consistencies(predicted, truth, window)
    expected = [_by_comparison(predicted, truth, start, window) for start in range(7 - window)]
    assert np.array_equal(values, expected, equal_nan=True)


def _by_comparison(predicted: LabelMap, truth: LabelMap, start: int, window: int) -> float:
    still = np.all(truth[start : start + window] == truth[start], axis=0)
    kept = np.all(predicted[start : start + window] == predicted[start], axis=0)
    return float((still & kept).sum() / still.sum()) if still.any() else math.nan


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_truth_is_consistent_with_itself(seed: int) -> None:
    truth = random_labels(seed, (6, 6, 6), 2)
    values = window_consistencies(truth, truth, 3)
    assert set(values[~np.isnan(values)].tolist()) <= {1.0}


def test_window_without_frames_is_refused() -> None:
    with pytest.raises(InputError, match="at least one frame"):
        window_consistencies(np.zeros((2, 1, 1), dtype=np.int64), np.zeros((2, 1, 1), dtype=np.int64), 0)
