"""Borders of masks: rings that enclose exactly their pixels, holes inside their part."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.exports.results import BoolMask, fill_even_odd, intersection_over_union, masks

from univs_service.exports.rings import shoelace_area, trace_parts
from univs_service.exports.simplify import simplify


def num_parts(mask: BoolMask) -> int:
    """Count the parts of a mask whose pixels share a side, by flooding each."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    count = 0
    while left:
        count += 1
        waiting = [left.pop()]
        while waiting:
            y, x = waiting.pop()
            for neighbour in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if neighbour in left:
                    left.remove(neighbour)
                    waiting.append(neighbour)
    return count


@given(masks)
@settings(max_examples=150, deadline=None)
def test_rings_enclose_exactly_the_mask(mask: BoolMask) -> None:
    parts = trace_parts(mask)

    rings = [ring for part in parts for ring in (part.outline, *part.holes)]
    assert np.array_equal(fill_even_odd(rings, mask.shape), mask)
    assert sum(shoelace_area(ring) for ring in rings) == mask.sum()
    assert len(parts) == num_parts(mask)


@given(masks)
@settings(max_examples=150, deadline=None)
def test_every_part_owns_its_holes(mask: BoolMask) -> None:
    covered = np.zeros(mask.shape, dtype=np.int64)
    for part in trace_parts(mask):
        assert shoelace_area(part.outline) > 0
        assert all(shoelace_area(hole) < 0 for hole in part.holes)
        pixels = fill_even_odd([part.outline, *part.holes], mask.shape)
        assert num_parts(pixels) == 1
        covered += pixels

    assert np.array_equal(covered, mask)  # each pixel belongs to one part


def test_an_island_in_a_hole_is_a_part_of_its_own() -> None:
    mask = np.zeros((9, 9), dtype=np.bool_)
    for inset, value in ((0, True), (1, False), (2, True), (3, False), (4, True)):
        mask[inset : 9 - inset, inset : 9 - inset] = value

    parts = trace_parts(mask)

    assert [[shoelace_area(part.outline), *map(shoelace_area, part.holes)] for part in parts] == [
        [81, -49],
        [25, -9],
        [1],
    ]


def test_pixels_that_touch_at_a_corner_are_two_parts() -> None:
    parts = trace_parts(np.array([[True, False], [False, True]]))

    assert [part.outline.tolist() for part in parts] == [
        [[0, 0], [1, 0], [1, 1], [0, 1]],
        [[1, 1], [2, 1], [2, 2], [1, 2]],
    ]


def test_an_empty_mask_has_no_parts() -> None:
    assert trace_parts(np.zeros((3, 4), dtype=np.bool_)) == []


@given(
    st.tuples(st.integers(8, 24), st.integers(8, 24)), st.integers(60, 90), st.tuples(st.floats(0, 7), st.floats(1, 3))
)
@settings(max_examples=40, deadline=None)
def test_a_thinned_out_ring_stays_close(radii: tuple[int, int], size: int, waves: tuple[float, float]) -> None:
    y, x = np.mgrid[:size, :size] - size / 2
    angle = np.arctan2(y, x)
    mask = (x / radii[0]) ** 2 + (y / radii[1]) ** 2 < 1 + 0.1 * np.sin(waves[0] * angle + waves[1])
    outline = trace_parts(mask)[0].outline

    thinned = simplify(outline, tolerance_px=1.0)

    assert len(thinned) < len(outline) / 2
    assert {tuple(vertex) for vertex in thinned.tolist()} <= {tuple(vertex) for vertex in outline.tolist()}
    own = fill_even_odd([outline], mask.shape)
    assert intersection_over_union(fill_even_odd([thinned], mask.shape), own) > 0.85


def test_a_single_pixel_keeps_an_area() -> None:
    outline = trace_parts(np.ones((1, 1), dtype=np.bool_))[0].outline

    assert shoelace_area(simplify(outline, tolerance_px=1.0)) > 0
