"""Small label maps and masks that the tests of this folder share."""

from typing import Any

import numpy as np
import numpy.typing as npt

from univs import rle
from univs.evaluation.semantic import LabelMap
from univs.rle import Rle

HEIGHT, WIDTH = 20, 30


def labels(text: str) -> LabelMap:
    """Read a label map from rows of digits: int64 [H, W]."""
    return np.array([[int(digit) for digit in row] for row in text.split()], dtype=np.int64)


def rectangle(top: int, left: int, height: int, width: int) -> Rle:
    """Encode a rectangle in a frame of HEIGHT x WIDTH."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    mask[top : top + height, left : left + width] = True
    return rle.encode(mask)


def random_labels(seed: int, shape: tuple[int, ...], num_values: int) -> npt.NDArray[Any]:
    """Draw a blocky label map, int64, so that segments overlap by chance."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, num_values, (*shape[:-2], -(-shape[-2] // 3), -(-shape[-1] // 3)))
    return coarse.repeat(3, axis=-2).repeat(3, axis=-1)[..., : shape[-2], : shape[-1]].astype(np.int64)
