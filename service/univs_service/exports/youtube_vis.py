"""Results as YouTube-VIS: `results.json` as a submission, `instances.json` as a data set of one video.

As in the published files, run lengths are compressed in a submission and plain numbers in a data set.
Entry i of `segmentations` is frame i of the video, `null` where the object is not there or the frame has no result.
The one number that YouTube-VIS has for a track, `score`, is the mean over the frames in which the object is there.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from univs_service.exports.categories import Categories
from univs_service.exports.document import VideoDescription
from univs_service.exports.files import FolderSink
from univs_service.exports.masks import run_lengths
from univs_service.messages import FrameResultEvent, ObjectResult

VIDEO_ID = 1
_SEGMENTATIONS, _AREAS, _BOXES = "segmentations", "areas", "bboxes"
_COMPRESSED = "compressed"


@dataclass(slots=True)
class _Track:
    """What is known of one object so far; its masks are in pieces on disk."""

    category_id: int = 0  # of its last name: what an entity is believed to be may change on the way
    num_frames: int = 0  # entries in its lists, absent ones included
    num_present: int = 0
    score_sum: float = 0.0


class YouTubeVisSink(FolderSink):
    """Keep a list of masks for each object on disk, and put the two files together at the end."""

    def __init__(self, path: Path, name: str, video: VideoDescription) -> None:
        super().__init__(path, name)
        self._video = video
        self._categories = Categories()
        self._tracks: dict[int, _Track] = {}
        self._num_frames = 0

    def _add(self, result: FrameResultEvent) -> None:
        self._num_frames = result.frame_index + 1
        for answer in result.objects:
            if answer.area:
                self._add_mask(result.frame_index, answer)

    def _add_mask(self, frame_index: int, answer: ObjectResult) -> None:
        track = self._tracks.setdefault(answer.object_id, _Track())
        track.category_id = self._categories.number(answer)
        self._fill(answer.object_id, track, frame_index)
        raw = {"size": answer.mask.size, "counts": run_lengths(answer.mask)}
        texts = (answer.mask.model_dump_json(), json.dumps(raw), json.dumps(answer.area), json.dumps(answer.bbox))
        self._put(answer.object_id, texts)
        track.num_frames += 1
        track.num_present += 1
        track.score_sum += answer.score

    def _fill(self, object_id: int, track: _Track, num_frames: int) -> None:
        """Say that the object is absent, up to a frame."""
        while track.num_frames < num_frames:
            self._put(object_id, ("null",) * 4)
            track.num_frames += 1

    def _put(self, object_id: int, texts: tuple[str, ...]) -> None:
        for key, text in zip((_COMPRESSED, _SEGMENTATIONS, _AREAS, _BOXES), texts, strict=True):
            self._pieces.add(f"{object_id}-{key}", text, separator=", ")

    def _end(self) -> None:
        for object_id, track in self._tracks.items():
            self._fill(object_id, track, self._num_frames)
        self._write_results()
        self._write_instances()

    def _write_results(self) -> None:
        with self._folder.open("results.json") as file:
            file.write(b"[")
            for number, (object_id, track) in enumerate(sorted(self._tracks.items())):
                score = track.score_sum / track.num_present
                head = {"video_id": VIDEO_ID, "category_id": track.category_id, "score": score, "object_id": object_id}
                file.write(b",\n" if number else b"\n")
                file.write(f'{json.dumps(head)[:-1]}, "segmentations": ['.encode())
                self._pieces.copy(f"{object_id}-{_COMPRESSED}", file)
                file.write(b"]}")
            file.write(b"\n]\n")

    def _write_instances(self) -> None:
        video = {
            "id": VIDEO_ID,
            "name": self._video.name,
            "width": self._video.width,
            "height": self._video.height,
            "length": self._num_frames,
            "file_names": [f"{self._name}/{index:05d}.jpg" for index in range(self._num_frames)],
        }
        categories = [
            {"id": category.number, "name": category.name, "supercategory": ""} for category in self._categories.all()
        ]
        with self._folder.open("instances.json") as file:
            info = json.dumps({"description": f"masks of {self._video.name}", "version": "1.0"})
            file.write(f'{{"info": {info},\n "videos": [{json.dumps(video)}],\n'.encode())
            file.write(f' "categories": {json.dumps(categories)},\n "annotations": ['.encode())
            for number, (object_id, track) in enumerate(sorted(self._tracks.items())):
                head = {"id": object_id, "video_id": VIDEO_ID, "category_id": track.category_id, "iscrowd": 0}
                head |= {"width": self._video.width, "height": self._video.height, "length": self._num_frames}
                file.write(b",\n" if number else b"\n")
                file.write(json.dumps(head)[:-1].encode())
                for key in (_SEGMENTATIONS, _AREAS, _BOXES):
                    file.write(f', "{key}": ['.encode())
                    self._pieces.copy(f"{object_id}-{key}", file)
                    file.write(b"]")
                file.write(b"}")
            file.write(b"\n ]}\n")
