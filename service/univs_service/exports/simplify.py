"""Fewer vertices for a ring: what lies close to the straight line is left out (Douglas and Peucker, 1973)."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from univs_service.exports.rings import Ring

Points: TypeAlias = NDArray[np.float64]  # [..., 2] of x, y


def simplify(ring: Ring, tolerance_px: float) -> Ring:
    """Give a ring of some of the vertices, such that each one left out lies within `tolerance_px` of the new ring.

    At least three vertices stay: the first, the one furthest from it, and the one furthest from the line between them.
    """
    furthest = int(np.argmax(((ring - ring[0]) ** 2).sum(axis=1)))
    closed = np.concatenate([ring, ring[:1]]).astype(np.float64)
    is_kept = np.zeros(len(closed), dtype=np.bool_)
    is_kept[[0, furthest, -1]] = True
    waiting = [(0, furthest), (furthest, len(closed) - 1)]
    while waiting:
        start, end = waiting.pop()
        if end - start < 2:
            continue
        distances = _distances(closed[start + 1 : end], closed[start], closed[end])
        middle = int(np.argmax(distances))
        if distances[middle] > tolerance_px:
            place = start + 1 + middle
            is_kept[place] = True
            waiting += [(start, place), (place, end)]
    if is_kept.sum() < 4:  # a sliver; `closed` counts its first vertex twice
        is_kept[int(np.argmax(_distances(closed, closed[0], closed[furthest])))] = True
    return ring[is_kept[:-1]]


def _distances(points: Points, start: Points, end: Points) -> NDArray[np.float64]:
    """Measure how far points [N, 2] are from the piece of line between two points [2]."""
    direction = end - start
    share = np.clip((points - start) @ direction / (direction @ direction), 0.0, 1.0)
    nearest = start + share[:, None] * direction
    return np.asarray(np.sqrt(((points - nearest) ** 2).sum(axis=1)))
