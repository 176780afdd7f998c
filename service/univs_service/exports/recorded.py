"""Read the results of a session back from its file of events: of every frame the last result, in the order of frames.

A frame that was refined has a result in each run; the last one in the file counts. Only the place of that line is kept
for each frame, never its masks.
"""

from collections.abc import Iterator
from pathlib import Path

import orjson

from univs_service.messages import FrameResultEvent


class RecordedResults:
    """The results of one session up to one event."""

    def __init__(self, path: Path, last_seq: int) -> None:
        """Look through the file.

        Args:
            path: of the events, one JSON object a line; line n is the event with seq n.
            last_seq: of the last event that is published; what lies beyond may still be rewritten.
        """
        self._path = path
        self._offsets: dict[int, int] = {}  # by frame index
        try:
            with path.open("rb") as file:
                offset = 0
                for _, line in zip(range(last_seq), file, strict=False):
                    event = orjson.loads(line)
                    if event["type"] == "frame.result":
                        self._offsets[event["frame_index"]] = offset
                    offset += len(line)
        except FileNotFoundError:
            pass

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[FrameResultEvent]:
        with self._path.open("rb") as file:
            for _, offset in sorted(self._offsets.items()):
                file.seek(offset)
                yield FrameResultEvent.model_validate_json(file.readline())
