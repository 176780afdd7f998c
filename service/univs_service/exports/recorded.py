"""Read the results of a session back from its file of events: the newest answer for each object of each frame.

A frame that was refined has a result in each run. A later run forward speaks of everything that it saw in a frame; one
backward speaks only of the objects it followed. So of a prompted object the last result in the file counts that has it,
unless it was removed since; of entities and maps those of the last run forward count. Only the places of lines are kept
for each frame, never masks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import orjson

from univs_service.messages import FrameResultEvent, ObjectResult


@dataclass(slots=True)
class _FramePlaces:
    """Where in the file the answers for one frame stand."""

    newest: int  # the last result: it gives the frame its time
    whole: int | None = None  # the last result of a run forward: entities and maps are taken from it
    objects: dict[int, int] = field(default_factory=dict)  # by id of a prompted object, the last result that has it


class RecordedResults:
    """The results of one session up to one event."""

    def __init__(self, path: Path, last_seq: int) -> None:
        """Look through the file.

        Args:
            path: of the events, one JSON object a line; line n is the event with seq n.
            last_seq: of the last event that is published; what lies beyond may still be rewritten.
        """
        self._path = path
        self._frames: dict[int, _FramePlaces] = {}
        try:
            with path.open("rb") as file:
                offset = 0
                for _, line in zip(range(last_seq), file, strict=False):
                    self._take(line, offset)
                    offset += len(line)
        except FileNotFoundError:
            pass

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[FrameResultEvent]:
        with self._path.open("rb") as file:
            for _, places in sorted(self._frames.items()):
                yield _merged(file, places)

    def _take(self, line: bytes, offset: int) -> None:
        event = orjson.loads(line)
        match event["type"]:
            case "frame.result":
                places = self._frames.setdefault(event["frame_index"], _FramePlaces(newest=offset))
                places.newest = offset
                if event.get("direction", "forward") == "forward":
                    places.whole = offset
                for answer in event["objects"]:
                    if answer.get("category_id") is None:
                        places.objects[answer["object_id"]] = offset
            case "object.removed":
                for frame_index, places in self._frames.items():
                    if frame_index >= event["frame_index"]:
                        places.objects.pop(event["object_id"], None)


def _merged(file: BinaryIO, places: _FramePlaces) -> FrameResultEvent:
    """Put together what counts of the results of one frame."""
    lines = {offset: _read(file, offset) for offset in {places.newest, *places.objects.values()} | _only(places.whole)}
    whole = None if places.whole is None else lines[places.whole]
    answers: list[ObjectResult] = []
    if whole is not None:
        answers += [answer for answer in whole.objects if answer.category_id is not None]
    for object_id, offset in places.objects.items():
        answers += [
            answer for answer in lines[offset].objects if answer.object_id == object_id and answer.category_id is None
        ]
    return (whole or lines[places.newest]).model_copy(
        update={"objects": sorted(answers, key=lambda answer: answer.object_id)}
    )


def _only(offset: int | None) -> set[int]:
    return set() if offset is None else {offset}


def _read(file: BinaryIO, offset: int) -> FrameResultEvent:
    file.seek(offset)
    return FrameResultEvent.model_validate_json(file.readline())
