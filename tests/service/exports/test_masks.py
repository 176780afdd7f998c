"""The run lengths of the exports: canonical COCO, compressed and raw, and row by row."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from pycocotools import mask as reference
from tests.service.exports.results import BoolMask, answer, masks

from univs_service.exports.masks import crop, decode_mask, encode_mask, row_runs, run_lengths
from univs_service.messages import RleMask


def blob() -> BoolMask:
    y, x = np.mgrid[:30, :40]
    return np.asarray((y - 14) ** 2 + (x - 18) ** 2 < 100)


def striped() -> BoolMask:
    mask = np.zeros((50, 3), dtype=np.bool_)
    mask[::2, 1] = True
    return mask


BLOB_RUNS = [280, 9, 20, 11, 17, 15, 15, 15, 14, 17, 12, *[19, 11] * 8, 19, 12, 17, 14, 15, 15, 15, 17, 11, 20, 9, 371]

# Written down once: mask, COCO's text, COCO's numbers. A change of library or code that changes one of them breaks
# every file that was ever written.
GOLDEN = {
    "empty": (np.zeros((4, 5), dtype=np.bool_), "d0", [20]),
    "full": (np.ones((4, 5), dtype=np.bool_), "0d0", [0, 20]),
    "first pixel": (np.eye(1, 6, dtype=np.bool_).reshape(2, 3), "015", [0, 1, 5]),
    "checkerboard": (np.indices((4, 4)).sum(0) % 2 == 1, "11110O10O10O0", [1, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1]),
    "a long run": (np.ones((1, 5000), dtype=np.bool_), "0Xl4", [0, 5000]),
    "blob": (blob(), "h89d02M4N0O2N2O0000000000000001N2N102L3No:", BLOB_RUNS),
    "striped": (striped(), "b1110" + "0" * 46 + "b1", [50, *[1] * 49, 51]),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_vectors(name: str) -> None:
    mask, counts, runs = GOLDEN[name]

    encoded = encode_mask(mask)

    assert (encoded.counts, run_lengths(encoded)) == (counts, runs)
    assert encoded.counts.encode() == reference.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]


@given(masks)
@settings(max_examples=200, deadline=None)
def test_text_equals_pycocotools_and_numbers_decode_there(mask: BoolMask) -> None:
    encoded = encode_mask(mask)

    assert encoded.counts.encode() == reference.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    runs = run_lengths(encoded)
    raw: Any = {"size": list(mask.shape), "counts": runs}  # Any: the stubs know the compressed form only
    again = reference.frPyObjects(raw, *mask.shape)
    assert again["counts"] == encoded.counts.encode()
    assert sum(runs) == mask.size and sum(runs[1::2]) == mask.sum()
    assert np.array_equal(decode_mask(encoded), mask)


@given(masks)
@settings(max_examples=100, deadline=None)
def test_rows_are_rebuilt_from_their_runs(mask: BoolMask) -> None:
    runs = row_runs(mask)

    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    assert np.array_equal(values.reshape(mask.shape), mask)
    assert all(run > 0 for run in runs[1:])


def test_crop_is_the_mask_inside_its_box() -> None:
    mask = blob()

    assert np.array_equal(crop(answer(1, mask)), mask[mask.any(axis=1)][:, mask.any(axis=0)])


@pytest.mark.parametrize("counts", ["P", "7 4", "ü"])
def test_damaged_text_is_refused(counts: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        run_lengths(RleMask(size=(4, 5), counts=counts))
