"""Results as CVAT XML 1.1, "CVAT for video": one track of polygons for each object.

CVAT's polygons are single rings, so this is less than the mask: the outline of an object's largest part, its corners
thinned out to within a pixel; holes and further parts are left out (`cvat.py` has everything). Every frame is a
keyframe, so CVAT interpolates nothing; where the object is not there, the polygon is `outside`.
"""

from dataclasses import dataclass
from pathlib import Path

from univs_service.exports.categories import Categories
from univs_service.exports.cvat import header, is_occluded, label_of, object_attribute
from univs_service.exports.document import VideoDescription
from univs_service.exports.files import FileSink
from univs_service.exports.masks import decode_mask
from univs_service.exports.rings import Ring, shoelace_area, trace_parts
from univs_service.exports.simplify import simplify
from univs_service.messages import FrameResultEvent, ObjectResult

TOLERANCE_PX = 1.0


@dataclass(slots=True)
class _Track:
    """One object so far; its polygons are in pieces on disk."""

    label: str  # quoted
    points: str = ""  # of its last polygon
    is_outside: bool = False


class CvatTracksSink(FileSink):
    """Keep the polygons of each object on disk, and put the tracks one after the other at the end."""

    def __init__(self, path: Path, video: VideoDescription) -> None:
        super().__init__(path)
        self._video = video
        self._categories = Categories()
        self._tracks: dict[int, _Track] = {}
        self._num_frames = 0

    def _add(self, result: FrameResultEvent) -> None:
        self._num_frames = result.frame_index + 1
        present = {answer.object_id: answer for answer in result.objects if answer.area}
        for object_id, track in self._tracks.items():
            if object_id not in present and not track.is_outside:
                track.is_outside = True
                self._add_polygon(object_id, track, result.frame_index, occluded=0, content="")
        for object_id, answer in present.items():
            if object_id not in self._tracks:
                self._categories.number(answer)
                self._tracks[object_id] = _Track(label_of(answer))
            track = self._tracks[object_id]
            track.points, track.is_outside = _points(answer), False
            self._add_polygon(object_id, track, result.frame_index, is_occluded(answer), object_attribute(answer))

    def _add_polygon(self, object_id: int, track: _Track, frame_index: int, occluded: int, content: str) -> None:
        self._pieces.add(
            object_id,
            f'<polygon frame="{frame_index}" keyframe="1" outside="{int(track.is_outside)}" occluded="{occluded}" '
            f'points="{track.points}" z_order="0">{content}</polygon>',
            separator="\n",
        )

    def _end(self) -> None:
        self._text(header(self._video, "interpolation", self._num_frames, self._categories))
        for number, (object_id, track) in enumerate(sorted(self._tracks.items())):
            self._text(f'<track id="{number}" label={track.label} source="auto" group_id="{object_id}">\n')
            self._pieces.copy(object_id, self._file)
            self._text("\n</track>\n")
        self._text("</annotations>\n")


def _points(answer: ObjectResult) -> str:
    return ";".join(f"{x},{y}" for x, y in largest_outline(answer).tolist())


def largest_outline(answer: ObjectResult) -> Ring:
    """Give the thinned-out outline of the largest part of an object that is there."""
    outlines = [part.outline for part in trace_parts(decode_mask(answer.mask))]
    return simplify(max(outlines, key=shoelace_area), TOLERANCE_PX)
