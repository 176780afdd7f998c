"""Results as CVAT XML 1.1, "CVAT for images": every mask of every frame, exactly, as CVAT's run lengths.

CVAT has no tracks of masks: it reads each one as a shape of its frame. What belongs together has the object's id as
`group_id` and as attribute `object_id`. The file goes into a task of images or of a video; there, `id` is the frame.
A mask's `rle` runs row by row through its box (`left`, `top`, `width`, `height`), pixels outside first.
"""

from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from univs_service.exports.categories import Categories, name_of
from univs_service.exports.document import VideoDescription
from univs_service.exports.files import FileSink
from univs_service.exports.masks import crop, row_runs
from univs_service.messages import FrameResultEvent, ObjectResult

_IMAGES = "images"
_ATTRIBUTE = "object_id"


class CvatSink(FileSink):
    """Put the frames aside; CVAT's file begins with the names of all labels."""

    def __init__(self, path: Path, video: VideoDescription) -> None:
        super().__init__(path)
        self._video = video
        self._categories = Categories()
        self._num_frames = 0

    def _add(self, result: FrameResultEvent) -> None:
        self._num_frames = result.frame_index + 1
        height, width = result.size
        name = f"frame_{result.frame_index:06d}.png"
        lines = [f'<image id="{result.frame_index}" name="{name}" width="{width}" height="{height}">']
        for z_order, answer in enumerate(result.objects):
            if answer.area:
                self._categories.number(answer)
                lines += _mask(answer, z_order)
        self._pieces.add(_IMAGES, "\n".join([*lines, "</image>"]), separator="\n")

    def _end(self) -> None:
        self._text(header(self._video, "annotation", self._num_frames, self._categories))
        self._pieces.copy(_IMAGES, self._file)
        self._text("\n</annotations>\n")


def header(video: VideoDescription, mode: str, num_frames: int, categories: Categories) -> str:
    """Give the beginning of a file: what it belongs to, and its labels with their attribute."""
    labels = "".join(
        f"<label><name>{escape(category.name)}</name><type>any</type><attributes><attribute><name>{_ATTRIBUTE}</name>"
        "<mutable>False</mutable><input_type>number</input_type><default_value>0</default_value>"
        f"<values>0\n{2**31 - 1}\n1</values></attribute></attributes></label>\n"
        for category in categories.all()
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task>'
        f"<name>{escape(video.name)}</name><size>{num_frames}</size><mode>{mode}</mode>\n<labels>\n{labels}</labels>\n"
        f"<original_size><width>{video.width}</width><height>{video.height}</height></original_size>\n"
        "</task></meta>\n"
    )


def object_attribute(answer: ObjectResult) -> str:
    """Say which object a shape is of."""
    return f'<attribute name="{_ATTRIBUTE}">{answer.object_id}</attribute>'


def label_of(answer: ObjectResult) -> str:
    """Give the label as the value of an XML attribute, in its quotes."""
    return quoteattr(name_of(answer))


def is_occluded(answer: ObjectResult) -> int:
    """Give 1 for an object that is believed to be hidden, else 0."""
    return int(answer.state == "occluded")


def _mask(answer: ObjectResult, z_order: int) -> list[str]:
    x, y, width, height = answer.bbox
    runs = ", ".join(map(str, row_runs(crop(answer))))
    return [
        f'<mask label={label_of(answer)} source="auto" occluded="{is_occluded(answer)}" rle="{runs}" '
        f'left="{x}" top="{y}" width="{width}" height="{height}" z_order="{z_order}" group_id="{answer.object_id}">',
        object_attribute(answer),
        "</mask>",
    ]
