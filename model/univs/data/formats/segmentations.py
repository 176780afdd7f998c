"""Masks as annotation files write them: polygons, run lengths in numbers, run lengths in text."""

from typing import Any

from hotcoco import mask as library

from univs.errors import InputError
from univs.rle import Rle


def to_rle(segmentation: Any, size: tuple[int, int]) -> Rle | None:
    """Give the mask of an annotation; None where the file has null, for an object that does not show.

    Args:
        segmentation: a list of polygons, or a mapping with `counts` as a list or as text; JSON, hence Any.
        size: (height, width) of the frame in pixels.
    Raises:
        InputError: for anything else, or a mask of another size.
    """
    if not segmentation:
        return None
    try:
        if isinstance(segmentation, list):
            encoded = library.merge(library.fr_py_objects(segmentation, *size))
        elif isinstance(segmentation["counts"], list):
            encoded = library.fr_py_objects(segmentation, *size)
        else:
            encoded = segmentation
        height, width = (int(side) for side in encoded["size"])
        counts = encoded["counts"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"expected polygons or run lengths of a mask, got {str(segmentation)[:80]}: {error}"
        ) from error
    if (height, width) != size:
        raise InputError(f"expected a mask of {size[0]} x {size[1]} pixels, got {height} x {width}; check the file")
    return Rle(size, counts.decode("ascii") if isinstance(counts, bytes) else str(counts))
