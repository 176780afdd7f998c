"""The border of a mask as closed rings along the edges of its pixels, holes inside the part they belong to.

Vertices are corners of pixels: integers, x from 0 to W and y from 0 to H. A pixel (row, column) is the square from
(column, row) to (column + 1, row + 1), so the rings enclose exactly the pixels of the mask. Pixels that touch at a
corner only belong to different parts, so no ring crosses itself; two rings may meet in a corner.

How: along each row of corners the border's vertices pair up into its horizontal edges, along each column of corners
into its vertical ones; a ring takes the two kinds in turn.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from univs_service.exports.masks import BoolMask

Ring: TypeAlias = NDArray[np.int64]  # [N, 2] of x, y; the first vertex is not repeated


@dataclass(frozen=True, slots=True)
class Part:
    """One connected part of a mask: its outline, and the outlines of the holes in it."""

    outline: Ring  # its shoelace sum is positive: counter-clockwise where y points up, clockwise on a screen
    holes: tuple[Ring, ...]  # the other way round


def trace_parts(mask: BoolMask) -> list[Part]:
    """Give the parts of a mask [H, W], the one that comes first in reading order first; none for an empty mask."""
    if not mask.any():
        return []
    top, left = (int(np.flatnonzero(mask.any(axis=axis))[0]) for axis in (1, 0))
    bottom, right = (int(np.flatnonzero(mask.any(axis=axis))[-1]) + 1 for axis in (1, 0))
    inside = mask[top:bottom, left:right]
    vertices, across, down = _find_edges(inside)
    rings, ring_of_vertex = _walk(vertices, across, down)
    is_hole = [not inside[ring[0, 1], ring[0, 0]] for ring in rings]  # a ring begins above its own first pixel
    parents = _find_parents(vertices, down, ring_of_vertex, rings, is_hole)
    origin = np.array([left, top])
    holes: dict[int, list[Ring]] = {index: [] for index, hole in enumerate(is_hole) if not hole}
    for index, ring in enumerate(rings):
        if is_hole[index]:
            holes[parents[index]].append(_reversed(ring) + origin)
    return [Part(rings[index] + origin, tuple(inner)) for index, inner in holes.items()]


def shoelace_area(ring: Ring) -> float:
    """Give the signed area of a ring: positive for outlines, negative for holes."""
    x, y = ring[:, 0], ring[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2


def _find_edges(inside: BoolMask) -> tuple[Ring, NDArray[np.int64], NDArray[np.int64]]:
    """Find the vertices of the border, and for each the other end of its horizontal and of its vertical edge.

    Returns:
        Vertices [N, 2] in reading order (x, y), and two tables [N] of indices. Where two pixels meet at a corner, that
        corner is two vertices: the first belongs to the left edge, the second to the right one.
    """
    framed = np.pad(inside, 1).astype(np.int8)
    above_left, above_right = framed[:-1, :-1], framed[:-1, 1:]
    below_left, below_right = framed[1:, :-1], framed[1:, 1:]
    count = above_left + above_right + below_left + below_right
    is_double = (count == 2) & (above_left == below_right)
    rises = is_double & (above_right == 1)  # /, where the others are \
    times = (count % 2 == 1).astype(np.int8) + 2 * is_double
    rows, columns = np.nonzero(times)
    repeats = times[rows, columns]
    y, x = np.repeat(rows, repeats), np.repeat(columns, repeats)
    number = np.arange(len(y))
    across = number ^ 1
    # Down a column: at a double vertex the left edge goes on upwards for \ (its vertex comes first), downwards for /.
    is_second = np.zeros(len(y), dtype=np.int64)
    is_second[1:] = (x[1:] == x[:-1]) & (y[1:] == y[:-1])
    place = np.where(rises[y, x], 1 - is_second, is_second)
    order = np.lexsort((place, y, x))
    down = np.empty_like(number)
    down[order[0::2]], down[order[1::2]] = order[1::2], order[0::2]
    return np.stack([x, y], axis=1).astype(np.int64), across, down


def _walk(vertices: Ring, across: NDArray[np.int64], down: NDArray[np.int64]) -> tuple[list[Ring], NDArray[np.int64]]:
    """Follow the edges; every ring begins at its first vertex in reading order and goes right."""
    right, vertical = across.tolist(), down.tolist()
    ring_of = [-1] * len(right)
    rings: list[Ring] = []
    for start in range(len(right)):
        if ring_of[start] >= 0:
            continue
        number, vertex = len(rings), start
        members: list[int] = []
        while ring_of[vertex] < 0:
            other = right[vertex]
            members += (vertex, other)
            ring_of[vertex] = ring_of[other] = number
            vertex = vertical[other]
        rings.append(vertices[members])
    return rings, np.asarray(ring_of)


def _find_parents(
    vertices: Ring, down: NDArray[np.int64], ring_of: NDArray[np.int64], rings: list[Ring], is_hole: list[bool]
) -> dict[int, int]:
    """Find the outline around each hole.

    The pixel above a hole's first edge belongs to the part around it; going left from there, the first piece of border
    is the outline of that part, or another hole of it that begins further up and so has been placed before.
    """
    holes = [index for index, hole in enumerate(is_hole) if hole]
    if not holes:
        return {}
    upper = np.flatnonzero(vertices[:, 1] < vertices[down, 1])
    lengths = vertices[down[upper], 1] - vertices[upper, 1]
    step = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = np.repeat(vertices[upper, 1], lengths) + step
    width = int(vertices[:, 0].max()) + 1
    keys = rows * width + np.repeat(vertices[upper, 0], lengths)  # one for every row of pixels that an edge passes
    order = np.argsort(keys)
    keys, owners = keys[order], np.repeat(ring_of[upper], lengths)[order]
    parents: dict[int, int] = {}
    for hole in holes:
        x, y = rings[hole][0]
        neighbour = int(owners[np.searchsorted(keys, (y - 1) * width + x, side="right") - 1])
        parents[hole] = parents[neighbour] if is_hole[neighbour] else neighbour
    return parents


def _reversed(ring: Ring) -> Ring:
    """Turn a ring round; its first vertex stays the first."""
    return np.concatenate([ring[:1], ring[:0:-1]])
