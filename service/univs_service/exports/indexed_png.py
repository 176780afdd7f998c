"""Results as indexed PNG in the layout of DAVIS: `00000.png`, ...; pixel value = object id, 0 = background.

The folder stands for the sequence. Frames without a result have no file; overlaps are decided as in `precedence.py`.
"""

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from univs_service.exports.files import FolderSink
from univs_service.exports.palette import davis_palette
from univs_service.exports.precedence import paint_ids
from univs_service.messages import FrameResultEvent

LARGEST_ID = 255


class IndexedPngSink(FolderSink):
    """Write one picture for each frame, named by frame index."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path, name)
        self._palette = davis_palette().tobytes()

    def _add(self, result: FrameResultEvent) -> None:
        picture = PillowImage.fromarray(paint_ids(result, LARGEST_ID, "an indexed PNG").astype(np.uint8))
        picture.putpalette(self._palette)
        with self._folder.open(f"{result.frame_index:05d}.png") as file:
            picture.save(file, format="PNG")
