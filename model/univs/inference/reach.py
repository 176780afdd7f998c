"""How far an object can have moved since the frame before: what looks like it farther away is not it.

Beyond the paper. A memory of looks alone takes every car of a row for the one that was prompted, and remembers them.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

_IS_OBJECT = 0.25  # share of a cell that the object covered


def within_reach(prior: Tensor, size: tuple[int, int], reach: float, margin: int) -> Tensor | None:
    """Mark where an object may be, one frame after it was seen.

    Args:
        prior: [h, w] in [0, 1], the share of each cell it covered one frame ago.
        size: (H, W) of the answer, a multiple of (h, w).
        reach: how far it may have moved, as a share of the square root of its area.
        margin: cells it may have moved beyond that.
    Returns:
        Bool [H, W]; None when it was not seen one frame ago: then it may be anywhere.
    """
    covered = prior > _IS_OBJECT
    area = int(covered.sum())
    if area == 0:
        return None
    radius = math.ceil(reach * math.sqrt(area)) + margin
    grown = covered[None, None].to(torch.float32)
    for kernel in ((2 * radius + 1, 1), (1, 2 * radius + 1)):  # a square, side by side: two lines cost less
        grown = functional.max_pool2d(grown, kernel, stride=1, padding=(kernel[0] // 2, kernel[1] // 2))
    return functional.interpolate(grown, size=size, mode="nearest")[0, 0] > 0
