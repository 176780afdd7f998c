"""Results as a folder of indexed PNG in the palette of DAVIS: pixel value = object id, 0 = background."""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from univs_service.exports.masks import Image, decode_mask
from univs_service.exports.palette import davis_palette
from univs_service.exports.sink import ExportError
from univs_service.messages import FrameResultEvent

LARGEST_ID = 255


def index_map(result: FrameResultEvent) -> NDArray[np.uint8]:
    """Paint the masks of a frame into one map [H, W]; on overlaps the higher score wins, then the lower id.

    Raises:
        ExportError: for an object id that one byte cannot hold.
    """
    painted = np.zeros(result.size, dtype=np.uint8)
    for answer in sorted(result.objects, key=lambda answer: (answer.score, -answer.object_id)):
        if answer.object_id > LARGEST_ID:
            raise ExportError(
                f"an indexed PNG holds object ids 1..{LARGEST_ID}, got {answer.object_id}; "
                "number the objects from 1, or write a .json file"
            )
        painted[decode_mask(answer.mask)] = answer.object_id
    return painted


class IndexedPngSink:
    """Write `00000.png`, `00001.png`, ... named by frame index; a refined frame replaces the earlier one."""

    needs_image = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._palette = davis_palette().tobytes()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def write(self, result: FrameResultEvent, image: Image | None = None) -> None:  # noqa: ARG002
        """Write the file of one frame."""
        picture = PillowImage.fromarray(index_map(result))
        picture.putpalette(self._palette)
        picture.save(self._folder / f"{result.frame_index:05d}.png")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what is there: each file is whole by itself."""
