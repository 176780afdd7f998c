"""Masks drawn on pictures, for people to look at."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_COLOURS = ((230, 60, 50), (60, 180, 75), (40, 110, 230), (245, 190, 40), (150, 60, 200), (0, 190, 190))
_STRENGTH = 0.5


def overlay(image: Tensor, masks: Tensor) -> Tensor:
    """Tint the masks bool [O, H, W] of objects on a picture uint8 [3, H, W], each in its own colour."""
    tinted = image.detach().cpu().float()
    for row, mask in enumerate(masks.cpu()):
        colour = torch.tensor(_COLOURS[row % len(_COLOURS)], dtype=torch.float32)[:, None, None]
        tinted = torch.where(mask, tinted * (1 - _STRENGTH) + colour * _STRENGTH, tinted)
    return tinted.to(torch.uint8)


def side_by_side(pictures: Sequence[Tensor]) -> Tensor:
    """Put pictures uint8 [3, H, W] of one height into a row."""
    return torch.cat(list(pictures), dim=2)


def to_array(picture: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Give a picture uint8 [3, H, W] as an array [H, W, 3]."""
    return np.asarray(picture.permute(1, 2, 0).numpy(), dtype=np.uint8)
