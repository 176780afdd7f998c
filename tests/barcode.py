"""Pictures that carry their number in their pixels, so that a test can read which picture it got."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 48
_BITS = 8  # columns
_ROWS = 6
_LEAST_CONTRAST = 60


def draw(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Draw a number below 256: its bits in the first row, bright for 1, their opposites in the second, then a ramp.

    Returns:
        [height, width, 3] RGB. Any turn or mirror image of it can be told from the picture itself.
    """
    bits = [(number >> bit) & 1 for bit in range(_BITS)]
    picture = np.full((height, width, 3), 90, dtype=np.uint8)
    tall = height // _ROWS
    for column, bit in enumerate(bits):
        left, right = column * width // _BITS, (column + 1) * width // _BITS
        picture[:tall, left:right] = 220 if bit else 30
        picture[tall : 2 * tall, left:right] = 30 if bit else 220
        picture[3 * tall :, left:right] = 40 + 10 * column
    return picture


def read(picture: NDArray[np.uint8]) -> int:
    """Read the number of an upright picture, [H, W, 3], lossy compression and scaling notwithstanding.

    Raises:
        AssertionError: when there is none: the picture is turned, mixed of two, or another.
    """
    grey = picture.astype(np.float32).mean(axis=2)
    blocks = np.array(
        [
            [_middle(grey, row, column) for column in range(_BITS)]
            for row in (0, 1, _ROWS - 1)
        ]
    )  # fmt: skip
    contrast = blocks[0] - blocks[1]
    assert np.abs(contrast).min() > _LEAST_CONTRAST, f"no number to be read: {contrast.round()}"
    assert blocks[2][-1] > blocks[2][0] + 30, "the ramp grows to the right"
    return int(sum(int(value > 0) << bit for bit, value in enumerate(contrast)))


def _middle(grey: NDArray[Any], row: int, column: int) -> float:
    height, width = grey.shape
    top, left = row * height // _ROWS, column * width // _BITS
    tall, wide = height // _ROWS, width // _BITS
    return float(grey[top + tall // 4 : top + 3 * tall // 4, left + wide // 4 : left + 3 * wide // 4].mean())
