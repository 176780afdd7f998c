"""Masks as arrays and as the run-length encoding of the wire, through the library that both ends use."""

from typing import TypeAlias

import numpy as np
from hotcoco import mask as coco
from numpy.typing import NDArray

from univs_service.messages import ObjectResult, RleMask, SegmentResult

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


def run_lengths(mask: RleMask) -> list[int]:
    """Give the runs of an encoding as numbers: column by column, zeros first, as COCO's uncompressed `counts`.

    Raises:
        ValueError: for text that breaks off inside a number or holds other characters.
    """
    runs: list[int] = []
    value = shift = 0
    for character in mask.counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"expected characters from '0' to 'o' in the counts of a mask, got {character!r}")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        # From the fourth run on, a run is written as its difference to the one of the same colour before it.
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError(
            f"expected whole numbers in the counts of a mask, got a last one cut off after {len(runs)} runs"
        )
    return runs


def row_runs(mask: BoolMask) -> list[int]:
    """Give the runs of a mask [H, W] row by row, zeros first (0 when the first pixel is inside)."""
    flat = np.ravel(mask)
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    return [0, *runs] if flat[0] else [*runs]


def crop(answer: ObjectResult | SegmentResult) -> BoolMask:
    """Give the part of a mask inside its box [h, w]."""
    x, y, width, height = answer.bbox
    return decode_mask(answer.mask)[y : y + height, x : x + width]
