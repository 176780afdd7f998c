import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from univs.errors import InputError
from univs.evaluation.boundary_iou import boundary_iou, inner_boundary
from univs.evaluation.vos import Mask

from .shapes import random_labels


def test_boundary_iou_of_a_case_worked_by_hand() -> None:
    """Frames of 30 x 40 have a diagonal of 50: the boundary is 1 pixel wide.

    Squares of 10 and of 8 pixels around one centre: rings of 36 and 28 pixels that share none. Moved by one column,
    the ring of 36 shares the upper and lower rows but one pixel each: 2 * 9 of 2 * 36 - 18.
    """
    truth, inner, moved = np.zeros((3, 30, 40), dtype=np.bool_)
    truth[5:15, 5:15] = True
    inner[6:14, 6:14] = True
    moved[5:15, 6:16] = True
    assert int(inner_boundary(truth, 1).sum()) == 36
    assert boundary_iou(inner, truth) == 0.0
    assert boundary_iou(moved, truth) == pytest.approx(18 / 54)


def test_frame_cuts_make_a_boundary() -> None:
    mask = np.ones((30, 40), dtype=np.bool_)
    assert int(inner_boundary(mask, 2).sum()) == 30 * 40 - 26 * 36


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_inner_boundary_equals_a_search_of_the_neighbourhood(seed: int, width_px: int) -> None:
    mask = random_labels(seed, (12, 14), 2) > 0
    padded = np.pad(mask, width_px)
    expected = np.zeros_like(mask)
    for row, column in np.ndindex(mask.shape):
        around = padded[row : row + 2 * width_px + 1, column : column + 2 * width_px + 1]
        expected[row, column] = mask[row, column] and not around.all()
    assert np.array_equal(inner_boundary(mask, width_px), expected)


def test_empty_masks() -> None:
    empty: Mask = np.zeros((10, 10), dtype=np.bool_)
    full = ~empty
    assert boundary_iou(empty, empty) == 1.0
    assert boundary_iou(full, empty) == boundary_iou(empty, full) == 0.0
    with pytest.raises(InputError, match="shape"):
        boundary_iou(empty, empty[:5])
