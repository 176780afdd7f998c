"""A session's events on disk, one JSON line each; line n is the event with seq n."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self


class Spool:
    """Append lines to one file. A half-written last line, left by a crash, is cut off on opening."""

    def __init__(self, path: Path, max_lines: int) -> None:
        """Open the file and keep at most its first `max_lines` lines: those that are known to be published."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self._file = path.open("r+b")
        self.num_lines = 0
        end = 0
        while self.num_lines < max_lines and (line := self._file.readline()).endswith(b"\n"):
            self.num_lines += 1
            end += len(line)
        self._file.seek(end)
        self._file.truncate()

    def append(self, first_seq: int, lines: Sequence[bytes]) -> None:
        """Write events, the first of which has `first_seq`; those that are in the file already are left alone."""
        num_known = self.num_lines + 1 - first_seq
        assert num_known >= 0, f"the spool holds {self.num_lines} events, the next given is {first_seq}"
        new = lines[num_known:]
        self._file.write(b"".join(line + b"\n" for line in new))
        self._file.flush()
        self.num_lines += len(new)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
