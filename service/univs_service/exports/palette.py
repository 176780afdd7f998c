"""The colours of objects: the palette of PASCAL VOC, which DAVIS and YouTube-VOS use for indexed PNG."""

import numpy as np
from numpy.typing import NDArray


def davis_palette() -> NDArray[np.uint8]:
    """Give 256 colours [256, 3]; index 0 is black.

    The bits of an index are dealt out to the channels from the top down: bit 0 is the highest bit of red,
    bit 1 of green, bit 2 of blue, bit 3 the next bit of red, and so on.
    """
    index = np.arange(256, dtype=np.uint8)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for level in range(8):
        for channel in range(3):
            bit = 3 * level + channel
            if bit < 8:
                colours[:, channel] |= ((index >> bit) & 1) << (7 - level)
    return colours


def object_colour(object_id: int) -> tuple[int, int, int]:
    """Give the colour of an object; ids over 255 go round again, never black."""
    red, green, blue = davis_palette()[(object_id - 1) % 255 + 1]
    return int(red), int(green), int(blue)
