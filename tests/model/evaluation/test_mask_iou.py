import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from univs import rle
from univs.errors import InputError
from univs.evaluation.mask_iou import areas, intersections, iou

from .shapes import random_labels, rectangle


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_overlaps_equal_those_of_decoded_masks(seed: int) -> None:
    first, second = (random_labels(seed + offset, (3, 17, 23), 2) > 0 for offset in (0, 1))
    encoded = [[rle.encode(mask) for mask in masks] for masks in (first, second)]
    common = np.einsum("dhw,ghw->dg", first.astype(np.int64), second.astype(np.int64))
    unions = first.sum(axis=(1, 2))[:, None] + second.sum(axis=(1, 2))[None] - common
    assert np.array_equal(intersections(*encoded), common)
    assert np.array_equal(areas(encoded[0]), first.sum(axis=(1, 2)))
    assert np.allclose(iou(*encoded), common / np.maximum(unions, 1), atol=1e-12)


def test_no_masks_and_other_sizes() -> None:
    assert iou([], [rectangle(0, 0, 2, 2)]).shape == (0, 1)
    with pytest.raises(InputError, match="one size"):
        iou([rle.encode(np.ones((2, 2), dtype=np.bool_))], [rectangle(0, 0, 2, 2)])
