"""Results as a COCO data set: a frame is an image, a mask an annotation whose `track_id` is the object.

`pycocotools.coco.COCO` and everything above it reads the file. Masks are COCO's run lengths, compressed (text) or not
(numbers). An object that is not in a frame has no annotation there.
"""

import json
from pathlib import Path

from univs_service.exports.categories import Categories
from univs_service.exports.document import VideoDescription
from univs_service.exports.files import FileSink
from univs_service.exports.masks import run_lengths
from univs_service.messages import FrameResultEvent, ObjectResult

_IMAGES = "images"


class CocoSink(FileSink):
    """Write the annotations as they come; images and categories follow them."""

    def __init__(self, path: Path, video: VideoDescription, *, is_compressed: bool) -> None:
        super().__init__(path)
        self._video = video
        self._is_compressed = is_compressed
        self._categories = Categories()
        self._num_annotations = 0

    def _begin(self) -> None:
        info = {"description": f"masks of {self._video.name}", "version": "1.0", "contributor": "UniVS"}
        self._text(f'{{"info": {json.dumps(info)},\n "licenses": [],\n "annotations": [')

    def _add(self, result: FrameResultEvent) -> None:
        height, width = result.size
        image = {
            "id": result.frame_index,
            "file_name": f"{result.frame_index:05d}.jpg",
            "width": width,
            "height": height,
            "frame_index": result.frame_index,
            "pts": result.pts,
            "time_base": result.time_base,
        }
        self._pieces.add(_IMAGES, json.dumps(image))
        for answer in result.objects:
            if answer.area:
                self._text(",\n" if self._num_annotations else "\n")
                self._num_annotations += 1
                self._text(json.dumps(self._annotation(result.frame_index, answer)))

    def _annotation(self, frame_index: int, answer: ObjectResult) -> dict[str, object]:
        counts = answer.mask.counts if self._is_compressed else run_lengths(answer.mask)
        return {
            "id": self._num_annotations,  # from 1: COCO's evaluation reads 0 as "none"
            "image_id": frame_index,
            "category_id": self._categories.number(answer),
            "segmentation": {"size": answer.mask.size, "counts": counts},
            "area": answer.area,
            "bbox": answer.bbox,
            "iscrowd": 0,
            "track_id": answer.object_id,
            "score": answer.score,
            "presence": answer.presence,
            "state": answer.state,
            "revision": answer.revision,
            # Where Datumaro and CVAT look for what COCO has no field for.
            "attributes": {"track_id": answer.object_id, "occluded": answer.state == "occluded"},
        }

    def _end(self) -> None:
        self._text('\n ],\n "images": [\n')
        self._pieces.copy(_IMAGES, self._file)
        categories = [
            {"id": category.number, "name": category.name, "supercategory": ""} for category in self._categories.all()
        ]
        self._text(f'\n ],\n "categories": {json.dumps(categories)}}}\n')
