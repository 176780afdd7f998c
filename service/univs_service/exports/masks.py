"""Masks as arrays and as the run-length encoding of the wire, through the library that both ends use."""

from typing import TypeAlias

import numpy as np
from hotcoco import mask as coco
from numpy.typing import NDArray

from univs_service.messages import RleMask

BoolMask: TypeAlias = NDArray[np.bool_]  # [H, W]
Image: TypeAlias = NDArray[np.uint8]  # [H, W, 3], RGB


def encode_mask(mask: BoolMask) -> RleMask:
    """Give the run-length encoding of a mask [H, W]; anything but zero counts as inside."""
    if mask.ndim != 2 or 0 in mask.shape:
        raise ValueError(f"a mask must be [H, W] with at least one pixel, got shape {mask.shape}")
    encoded = coco.encode(np.asfortranarray(mask != 0, dtype=np.uint8))
    counts = encoded["counts"]
    height, width = mask.shape
    return RleMask(size=(height, width), counts=counts.decode("ascii") if isinstance(counts, bytes) else counts)


def decode_mask(mask: RleMask) -> BoolMask:
    """Give the mask [H, W] of a run-length encoding.

    Raises:
        ValueError: when the runs do not fit the size.
    """
    decoded = coco.decode({"size": list(mask.size), "counts": mask.counts})
    return np.asarray(decoded, dtype=np.bool_)
