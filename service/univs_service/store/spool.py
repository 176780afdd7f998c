"""Read a session's results file, which its worker writes: line n is the event with seq n."""

import json
from pathlib import Path


class SpoolReader:
    """Read lines in order; remembers where it stands, so that going on costs nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next_seq = 1
        self._offset = 0

    def read(self, first_seq: int, last_seq: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """Read the lines of events first_seq..last_seq, both included.

        Args:
            first_seq: at least 1.
            last_seq: the last published event or an earlier one: what lies beyond may still be rewritten.
            max_bytes: stop after the line that passes it; at least one line is given.
        Returns:
            Seq and JSON without the line's end; fewer when the file is shorter, none when it is not there.
        """
        if first_seq != self._next_seq:
            self._next_seq, self._offset = 1, 0
        events: list[tuple[int, bytes]] = []
        size_bytes = 0
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                while self._next_seq <= last_seq and size_bytes < max_bytes:
                    line = file.readline()
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    if self._next_seq >= first_seq:
                        events.append((self._next_seq, line[:-1]))
                        size_bytes += len(line)
                    self._next_seq += 1
        except FileNotFoundError:
            return []
        if events and json.loads(events[0][1])["seq"] != first_seq:
            raise ValueError(f"expected line {first_seq} of {self._path} to hold the event of that seq")
        return events
