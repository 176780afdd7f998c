"""Masks as COCO run-length encodings: a thin, checked wrapper of hotcoco.

The bytes equal those of pycocotools: columns first, the first run counts zeros. Arrays in column-major order
(`np.asfortranarray`) are encoded about ten times faster than row-major ones; both are taken as they are.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from hotcoco import mask as library
from torch import Tensor

from univs.errors import RleError

BoolMask: TypeAlias = npt.NDArray[np.bool_]

_MAX_PIXELS = 1 << 28  # 16384 x 16384: a size from outside must not exhaust memory


@dataclass(frozen=True, slots=True)
class Rle:
    """A mask as text."""

    size: tuple[int, int]  # (height, width) in pixels
    counts: str

    def __post_init__(self) -> None:
        height, width = self.size
        if height < 1 or width < 1 or height * width > _MAX_PIXELS:
            raise RleError(
                f"the size of a mask must be (height, width), each at least 1, and {_MAX_PIXELS} pixels at "
                f"most, got {self.size}; give the size of the frame"
            )


def encode(mask: BoolMask | Tensor) -> Rle:
    """Encode a mask.

    Args:
        mask: bool [H, W]; a tensor may lie on any device.
    Raises:
        RleError: for another type, number of axes, or an empty side.
    """
    array = mask.detach().cpu().numpy() if isinstance(mask, Tensor) else mask
    if array.dtype != np.bool_ or array.ndim != 2:
        raise RleError(
            f"a mask must be bool with axes (height, width), got {array.dtype} of shape {array.shape}; "
            "compare with a threshold first and give one mask at a time"
        )
    height, width = (int(side) for side in array.shape)
    if height < 1 or width < 1:
        raise RleError(f"a mask must have at least one pixel, got {height} x {width}; give the size of the frame")
    encoded = library.encode(array.view(np.uint8))
    return Rle((height, width), encoded["counts"].decode("ascii"))


def decode(rle: Rle) -> BoolMask:
    """Decode a mask: bool [H, W], in column-major order.

    Raises:
        RleError: if the text is no run-length encoding, or its runs do not fill height x width exactly.
    """
    try:
        array = library.decode({"size": list(rle.size), "counts": rle.counts})
    except ValueError as error:
        raise _malformed(rle, str(error)) from error
    if library.encode(array)["counts"] != rle.counts.encode():  # not the shortest form: legal, if it is complete
        _check_total(rle)
    return array.view(np.bool_)


def area(rle: Rle) -> int:
    """Count the pixels of a mask.

    Raises:
        RleError: if the text is no run-length encoding.
    """
    try:
        return int(library.area({"size": list(rle.size), "counts": rle.counts}))
    except ValueError as error:
        raise _malformed(rle, str(error)) from error


def to_bbox(rle: Rle) -> tuple[float, float, float, float]:
    """Give the smallest box around a mask: x, y, width, height in pixels; four zeros for an empty mask.

    Raises:
        RleError: if the text is no run-length encoding.
    """
    try:
        x, y, width, height = library.to_bbox({"size": list(rle.size), "counts": rle.counts}).tolist()
    except ValueError as error:
        raise _malformed(rle, str(error)) from error
    return (x, y, width, height)


def _check_total(rle: Rle) -> None:
    """Refuse runs that end early; the library reads them as background, too long ones it refuses itself."""
    height, width = rle.size
    total, runs, position = 0, [0, 0], 0
    value = shift = 0
    for character in rle.counts.encode("ascii", "replace"):
        bits = character - 48
        if not 0 <= bits < 64:
            raise _malformed(rle, f"character {chr(character)!r} at place {position} is outside '0'..'o'")
        value |= (bits & 31) << shift
        shift += 5
        position += 1
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        # From the fourth run on, a run is written as its difference to the run of the same colour before it.
        run = value + runs[-2] if len(runs) > 4 else value
        runs.append(run)
        total += run
        value = shift = 0
    if shift or total != height * width:
        raise _malformed(rle, f"its runs cover {total} of {height * width} pixels")


def _malformed(rle: Rle, reason: str) -> RleError:
    return RleError(
        f"the counts of a {rle.size[0]} x {rle.size[1]} mask must be COCO's compressed run lengths, got "
        f"{rle.counts[:40]!r}: {reason}; encode with univs.rle.encode or pycocotools, height before width"
    )
