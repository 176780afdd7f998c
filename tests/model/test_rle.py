import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from pycocotools import mask as reference

from univs import rle
from univs.errors import InputError, RleError

BoolMask = npt.NDArray[np.bool_]

masks = hypothesis_numpy.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))


def last_column_only() -> BoolMask:
    mask = np.zeros((3, 4), bool)
    mask[:, -1] = True
    return mask


def one_pixel() -> BoolMask:
    mask = np.zeros((4, 5), bool)
    mask[2, 3] = True
    return mask


# Counts are run lengths in column-major order, zeros first; from the fourth run on as differences (COCO).
GOLDEN = {
    "empty": (np.zeros((4, 5), bool), "d0"),
    "full": (np.ones((4, 5), bool), "0d0"),
    "one pixel": (one_pixel(), ">15"),
    "checkerboard": (np.indices((4, 4)).sum(0) % 2 == 1, "11110O10O10O0"),
    "last column only": (last_column_only(), "93"),
    "1 x N": (np.array([[False, True, True, False, True]]), "121O"),
    "N x 1": (np.array([[True], [False], [True]]), "0110"),
}


def reference_counts(mask: BoolMask) -> str:
    encoded = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = encoded["counts"]
    return counts if isinstance(counts, str) else counts.decode("ascii")


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_vectors(name: str) -> None:
    mask, counts = GOLDEN[name]
    assert rle.encode(mask).counts == counts == reference_counts(mask)
    assert np.array_equal(rle.decode(rle.encode(mask)), mask)


@given(masks)
@settings(max_examples=300, deadline=None)
def test_bytes_equal_pycocotools_and_come_back(mask: BoolMask) -> None:
    encoded = rle.encode(mask)
    assert encoded.size == mask.shape
    assert encoded.counts == reference_counts(mask)
    assert np.array_equal(rle.decode(encoded), mask)
    assert rle.area(encoded) == mask.sum()


@given(masks)
@settings(max_examples=100, deadline=None)
def test_memory_layout_and_tensors_do_not_change_the_text(mask: BoolMask) -> None:
    expected = rle.encode(mask)
    assert rle.encode(np.asfortranarray(mask)) == expected
    assert rle.encode(torch.from_numpy(mask)) == expected
    assert rle.encode(np.repeat(mask, 2, axis=1)[:, ::2]) == expected


@given(masks)
@settings(max_examples=100, deadline=None)
def test_box_is_the_smallest_around_the_pixels(mask: BoolMask) -> None:
    rows, columns = np.nonzero(mask)
    expected = (0.0, 0.0, 0.0, 0.0)
    if rows.size:
        x, y = columns.min(), rows.min()
        expected = (float(x), float(y), float(columns.max() - x + 1), float(rows.max() - y + 1))
    assert rle.to_bbox(rle.encode(mask)) == expected


@pytest.mark.parametrize("counts", ["", "5", "abc", "ü", "o", "oooooooooooooooooooo", "zz\n", "d00000d"])
def test_malformed_text_is_refused(counts: str) -> None:
    with pytest.raises(RleError, match="must be"):
        rle.decode(rle.Rle((4, 5), counts))


@given(st.text(max_size=30), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=300, deadline=None)
def test_any_text_decodes_or_is_refused(counts: str, height: int, width: int) -> None:
    try:
        assert rle.decode(rle.Rle((height, width), counts)).shape == (height, width)
    except InputError as error:
        assert "must be" in str(error)


def test_runs_that_are_split_are_still_read() -> None:
    # 0 zeros, 2 ones, 0 zeros, 18 ones: legal, though not the shortest text (18 - 2 = 16, i.e. "`0").
    full = rle.decode(rle.Rle((4, 5), "020`0"))
    assert full.all()


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (1 << 20, 1 << 20)])
def test_impossible_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(RleError, match="height, width"):
        rle.Rle(size, "0")


@pytest.mark.parametrize("mask", [np.zeros((2, 2), np.uint8), np.zeros(4, bool), np.zeros((0, 3), bool)])
def test_other_arrays_are_refused(mask: npt.NDArray[np.bool_]) -> None:
    with pytest.raises(RleError):
        rle.encode(mask)
