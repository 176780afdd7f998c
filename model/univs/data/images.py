"""Files to tensors, and resizing of pictures."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from univs.data.sample import Picture

_ID_BASE = np.array([1, 256, 256 * 256], dtype=np.int64)  # of red, green, blue


def read_image(path: Path) -> Tensor:
    """Read a picture file as uint8 [3, H, W], RGB."""
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def read_labels(path: Path) -> Tensor:
    """Read a picture of label values (palette, grey or 1-bit) as uint8 [H, W]."""
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image).astype(np.uint8))


def read_ids(path: Path) -> npt.NDArray[np.int64]:
    """Read ids that are painted as colours, int64 [H, W]: red + 256 green + 65536 blue."""
    with Image.open(path) as image:
        colours = np.array(image.convert("RGB")).astype(np.int64)
    return np.asarray(colours @ _ID_BASE)


def resize_short_side(picture: Picture, short_side_px: int) -> Picture:
    """Shrink a picture and its masks to a short side; smaller pictures stay as they are."""
    height, width = picture.image.shape[-2:]
    factor = short_side_px / min(height, width)
    if factor >= 1:
        return picture
    size = (round(height * factor), round(width * factor))
    return Picture(
        image=resize_image(picture.image, size),
        masks=resize_masks(picture.masks, size),
        category_ids=picture.category_ids,
        texts=picture.texts,
    )


def resize_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize uint8 [3, H, W] to (height, width), antialiased bilinear."""
    return functional.interpolate(image[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]


def resize_masks(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize bool [O, H, W] to (height, width): a pixel is set when at least half of it was covered."""
    if masks.shape[0] == 0:
        return masks.new_zeros(0, *size)
    covered = functional.interpolate(
        masks[None].float(), size=size, mode="bilinear", align_corners=False, antialias=True
    )
    return covered[0] >= 0.5
