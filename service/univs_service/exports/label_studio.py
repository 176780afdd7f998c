"""Results for Label Studio's import, as tasks with predictions.

Label Studio paints masks on images only, so `LabelStudioSink` makes a task of each frame, with a brush region for each
object; and it follows objects through videos as rectangles only, so `LabelStudioVideoSink` makes one task of the
video, with a track of boxes for each object. The labelling interfaces that fit are in docs/exports.md.
"""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from univs_service.exports.brush import encode_brush
from univs_service.exports.categories import name_of
from univs_service.exports.document import VideoDescription
from univs_service.exports.files import FileSink
from univs_service.exports.masks import decode_mask
from univs_service.messages import FrameResultEvent, ObjectResult

_USUAL_RATE = Fraction(25)  # of videos that do not say; Label Studio counts frames and needs one


@dataclass(frozen=True, slots=True)
class FrameAddress:
    """Where Label Studio finds the picture of a frame: a prefix, the frame's number, a suffix."""

    prefix: str
    digits: int = 0
    suffix: str = ""

    def of(self, frame_index: int) -> str:
        """Give the address of one frame."""
        return f"{self.prefix}{frame_index:0{self.digits}d}{self.suffix}"


class LabelStudioSink(FileSink):
    """Write a task for each frame."""

    def __init__(self, path: Path, video: VideoDescription, frames: FrameAddress) -> None:
        super().__init__(path)
        self._video = video
        self._frames = frames
        self._num_tasks = 0

    def _begin(self) -> None:
        self._text("[")

    def _add(self, result: FrameResultEvent) -> None:
        answers = [answer for answer in result.objects if answer.area]
        prediction = {
            "model_version": result.weights,
            "score": sum(answer.score for answer in answers) / len(answers) if answers else 0.0,
            "result": [_brush_region(result, answer) for answer in answers],
        }
        task = {
            "data": {
                "image": self._frames.of(result.frame_index),
                "video": self._video.name,
                "frame_index": result.frame_index,
            },
            "predictions": [prediction],
        }
        self._text(",\n" if self._num_tasks else "\n")
        self._text(json.dumps(task))
        self._num_tasks += 1

    def _end(self) -> None:
        self._text("\n]\n")


class LabelStudioVideoSink(FileSink):
    """Keep the boxes of each object on disk, and write the one task at the end.

    Label Studio counts frames from 1. A box holds until the next one; `enabled: false` ends the object's stay.
    """

    def __init__(self, path: Path, video: VideoDescription) -> None:
        super().__init__(path)
        self._video = video
        self._rate = Fraction(video.frame_rate) if video.frame_rate else _USUAL_RATE
        self._labels: dict[int, str] = {}
        self._waiting: dict[int, ObjectResult] = {}  # last frame's objects: whether they stay is not known yet
        self._last_index = -1
        self._weights = "unknown"
        self._score_sum, self._num_boxes = 0.0, 0

    def _add(self, result: FrameResultEvent) -> None:
        present = {answer.object_id: answer for answer in result.objects if answer.area}
        self._write_waiting(present if result.frame_index == self._last_index + 1 else {})
        for object_id, answer in present.items():
            self._labels.setdefault(object_id, name_of(answer))
            self._score_sum += answer.score
            self._num_boxes += 1
        self._waiting, self._last_index, self._weights = present, result.frame_index, result.weights

    def _write_waiting(self, staying: dict[int, ObjectResult]) -> None:
        for object_id, answer in self._waiting.items():
            box = self._box(self._last_index, answer, is_enabled=object_id in staying)
            self._pieces.add(object_id, json.dumps(box))

    def _box(self, frame_index: int, answer: ObjectResult, *, is_enabled: bool) -> dict[str, object]:
        x, y, width, height = answer.bbox
        return {
            "frame": frame_index + 1,
            "time": float((frame_index + 1) / self._rate),
            "enabled": is_enabled,
            "rotation": 0,
            "x": 100 * x / self._video.width,
            "y": 100 * y / self._video.height,
            "width": 100 * width / self._video.width,
            "height": 100 * height / self._video.height,
        }

    def _end(self) -> None:
        self._write_waiting({})
        num_frames = self._last_index + 1
        score = self._score_sum / self._num_boxes if self._num_boxes else 0.0
        data = {"video": self._video.name, "frame_rate": float(self._rate)}
        head = json.dumps({"model_version": self._weights, "score": score})
        self._text(f'[{{"data": {json.dumps(data)},\n "predictions": [{head[:-1]}, "result": [')
        for number, (object_id, label) in enumerate(sorted(self._labels.items())):
            region = {"id": f"object-{object_id}", "type": "videorectangle", "from_name": "box", "to_name": "video"}
            value = {"labels": [label], "framesCount": num_frames, "duration": float(num_frames / self._rate)}
            self._text(",\n" if number else "\n")
            self._text(f'{json.dumps(region)[:-1]}, "value": {json.dumps(value)[:-1]}, "sequence": [\n')
            self._pieces.copy(object_id, self._file)
            self._text("\n]}}")
        self._text("\n]}]}]\n")


def _brush_region(result: FrameResultEvent, answer: ObjectResult) -> dict[str, object]:
    height, width = result.size
    return {
        "id": f"object-{answer.object_id}-frame-{result.frame_index}",
        "type": "brushlabels",
        "from_name": "brush",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": answer.score,
        "meta": {"text": [f"object {answer.object_id}"]},
        "value": {
            "format": "rle",
            "rle": encode_brush(decode_mask(answer.mask)),
            "brushlabels": [name_of(answer)],
        },
    }
