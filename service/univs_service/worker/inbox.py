"""The commands of one session that were read from its log, and whose time has not come."""

import time
from collections import deque
from dataclasses import dataclass

from univs_service.messages import CloseSession, Command
from univs_service.store.worker_store import WorkerStore


@dataclass(frozen=True, slots=True)
class Received:
    """A command, and when it was read."""

    log_id: str
    command: Command
    read_s: float


class Inbox:
    """Commands in the order of the log, each once."""

    def __init__(self, store: WorkerStore, session_id: str, read_to: str) -> None:
        """Begin after the command `read_to`."""
        self._store = store
        self._session_id = session_id
        self._waiting: deque[Received] = deque()
        self.read_to = read_to  # the last command that was read

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def asks_to_close(self) -> bool:
        """Whether one of the commands ends the session."""
        return any(isinstance(item.command, CloseSession) for item in self._waiting)

    @property
    def has_more(self) -> bool:
        """Whether a command waits here or in the log."""
        return bool(self._waiting or self._store.read_commands(self._session_id, after=self.read_to, count=1))

    def read(self) -> None:
        """Read what is new in the log."""
        commands = self._store.read_commands(self._session_id, after=self.read_to)
        if commands:
            read_s = time.monotonic()
            self._waiting.extend(Received(item.log_id, item.command, read_s) for item in commands)
            self.read_to = commands[-1].log_id

    def take(self) -> Received:
        """Take the oldest command."""
        return self._waiting.popleft()

    def clear(self) -> None:
        """Drop what was read and has not been taken."""
        self._waiting.clear()
