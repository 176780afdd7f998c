"""Results as polygons with holes: a GeoJSON FeatureCollection (RFC 7946), one feature for each object and frame.

The first ring of a polygon is its outline, the others are holes; an object of several parts is a MultiPolygon.
Coordinates are pixels of the frame, x to the right and y down, on the corners of the pixels: filling the rings gives
back the very mask. As the RFC asks, a ring ends with its first position, and in the numbers as they stand outlines
run counter-clockwise, holes clockwise.
"""

import json
from pathlib import Path

from univs_service.exports.document import VideoDescription
from univs_service.exports.files import FileSink
from univs_service.exports.masks import decode_mask
from univs_service.exports.rings import Ring, trace_parts
from univs_service.messages import FrameResultEvent, ObjectResult


class GeoJsonSink(FileSink):
    """Write one line for each object and frame; an object that is not in a frame has none there."""

    def __init__(self, path: Path, video: VideoDescription) -> None:
        super().__init__(path)
        self._video = video
        self._num_features = 0

    def _begin(self) -> None:
        self._text(f'{{"type": "FeatureCollection",\n "video": {self._video.model_dump_json()},\n "features": [')

    def _add(self, result: FrameResultEvent) -> None:
        for answer in result.objects:
            if answer.area:
                self._text(",\n" if self._num_features else "\n")
                self._text(json.dumps(_feature(result, answer)))
                self._num_features += 1

    def _end(self) -> None:
        self._text("\n ]}\n")


def _feature(result: FrameResultEvent, answer: ObjectResult) -> dict[str, object]:
    parts = trace_parts(decode_mask(answer.mask))
    polygons = [[_closed(part.outline), *map(_closed, part.holes)] for part in parts]
    is_one = len(polygons) == 1
    x, y, width, height = answer.bbox
    return {
        "type": "Feature",
        "id": f"{result.frame_index}-{answer.object_id}",
        "bbox": [x, y, x + width, y + height],
        "geometry": {
            "type": "Polygon" if is_one else "MultiPolygon",
            "coordinates": polygons[0] if is_one else polygons,
        },
        "properties": {
            "frame_index": result.frame_index,
            "pts": result.pts,
            "time_base": result.time_base,
            "object_id": answer.object_id,
            "label": answer.label,
            "score": answer.score,
            "presence": answer.presence,
            "state": answer.state,
            "area": answer.area,
            "revision": answer.revision,
            "weights": result.weights,
        },
    }


def _closed(ring: Ring) -> list[list[int]]:
    """Repeat the first position at the end."""
    positions: list[list[int]] = ring.tolist()
    return [*positions, positions[0]]
