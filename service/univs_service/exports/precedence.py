"""One object for each pixel, where a format has room for no more: who wins where masks overlap."""

import numpy as np
from numpy.typing import NDArray

from univs_service.exports.masks import decode_mask
from univs_service.exports.sink import ExportError
from univs_service.messages import FrameResultEvent


def paint_ids(result: FrameResultEvent, largest_id: int, what: str) -> NDArray[np.int32]:
    """Paint the masks of a frame into one map of object ids [H, W]; 0 belongs to nobody.

    Where masks overlap, the object with the higher score in this frame wins; of equal ones, the lower id.

    Args:
        result: of the frame.
        largest_id: that the format can hold.
        what: the format, for the error.
    Raises:
        ExportError: for an object id that the format cannot hold.
    """
    painted = np.zeros(result.size, dtype=np.int32)
    for answer in sorted(result.objects, key=lambda answer: (answer.score, -answer.object_id)):
        if not 1 <= answer.object_id <= largest_id:
            raise ExportError(
                f"{what} holds object ids 1..{largest_id}, got {answer.object_id}; "
                "number the objects from 1, or write a .json file"
            )
        if answer.area:
            painted[decode_mask(answer.mask)] = answer.object_id
    return painted
