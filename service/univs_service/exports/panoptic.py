"""Results as COCO panoptic segmentation: `panoptic/00000.png`, ... and `panoptic.json` with `segments_info`.

A pixel belongs to the segment R + 256 G + 65536 B, the same in every frame; 0 is unlabelled. Its id is that of the
object, or, where the frame was divided among segments, that of the segment.
Overlaps are decided as in `precedence.py`: `area` and `bbox` are those of what is left to be seen.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from univs_service.exports.categories import Categories
from univs_service.exports.document import VideoDescription
from univs_service.exports.files import FolderSink
from univs_service.exports.precedence import paint_ids
from univs_service.messages import FrameResultEvent

LARGEST_ID = (1 << 24) - 1
PICTURES = "panoptic"
_IMAGES, _ANNOTATIONS = "images", "annotations"


class PanopticSink(FolderSink):
    """Write one picture for each frame, and the file about them all at the end."""

    def __init__(self, path: Path, name: str, video: VideoDescription) -> None:
        super().__init__(path, name)
        self._video = video
        self._categories = Categories()

    def _add(self, result: FrameResultEvent) -> None:
        ids = paint_ids(result, LARGEST_ID, "a panoptic PNG")
        name = f"{result.frame_index:05d}.png"
        with self._folder.open(f"{PICTURES}/{name}") as file:
            PillowImage.fromarray(colours_of(ids)).save(file, format="PNG")
        segments = []
        for answer in result.objects:
            rows, columns = np.nonzero(ids == answer.object_id) if answer.area else (np.empty(0), np.empty(0))
            if rows.size == 0:
                continue  # absent, or covered by others
            x, y = int(columns.min()), int(rows.min())
            box = [x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1]
            segments.append(
                {
                    "id": answer.object_id,
                    "category_id": self._categories.number(answer),
                    "area": int(rows.size),
                    "bbox": box,
                    "iscrowd": 0,
                    "score": answer.score,
                }
            )
        height, width = result.size
        image = {"id": result.frame_index, "file_name": f"{name[:-4]}.jpg", "width": width, "height": height}
        self._pieces.add(_IMAGES, json.dumps(image))
        annotation = {"image_id": result.frame_index, "file_name": name, "segments_info": segments}
        self._pieces.add(_ANNOTATIONS, json.dumps(annotation))

    def _end(self) -> None:
        categories = [
            {"id": category.number, "name": category.name, "supercategory": "", "isthing": int(category.is_thing)}
            for category in self._categories.all()
        ]
        info = {"description": f"masks of {self._video.name}", "version": "1.0"}
        with self._folder.open("panoptic.json") as file:
            file.write(f'{{"info": {json.dumps(info)},\n "categories": {json.dumps(categories)},\n'.encode())
            for number, key in enumerate((_IMAGES, _ANNOTATIONS)):
                file.write(b",\n" if number else b"")
                file.write(f' "{key}": [\n'.encode())
                self._pieces.copy(key, file)
                file.write(b"\n ]")
            file.write(b"}\n")


def colours_of(ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Give the picture [H, W, 3] of a map of segment ids [H, W]."""
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], axis=-1).astype(np.uint8)
