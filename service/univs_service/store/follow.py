"""Follow a session's events from any point on: from Redis, and from the results file what Redis holds no more."""

import asyncio

from univs_service.errors import SupersededError
from univs_service.messages import Gap
from univs_service.store.gateway_store import GatewayStore
from univs_service.store.spool import SpoolReader

_BATCH_BYTES = 1024 * 1024


class EventFollower:
    """Give the events of one session in order, without holes, each once."""

    def __init__(self, store: GatewayStore, spool: SpoolReader, session_id: str, after_seq: int) -> None:
        """Start after the event `after_seq`; 0 starts with the first."""
        self._store = store
        self._spool = spool
        self._session_id = session_id
        self.after_seq = after_seq
        self.connection = 0  # number of the connection that this serves; 0 for none

    async def find_gap(self) -> Gap | None:
        """Find events after the start that are neither in Redis nor on disk; skip them."""
        events, _ = await self._store.wait_events(self._session_id, self.after_seq, 0, count=1, block_s=0)
        if not events or events[0][0] == self.after_seq + 1:
            return None
        first_held = events[0][0]
        lines = await self._read_spool(first_held - 1, max_bytes=1)
        if lines:
            return None
        gap = Gap(from_seq=self.after_seq + 1, to_seq=first_held - 1)
        self.after_seq = gap.to_seq
        return gap

    async def next_events(self, count: int, block_s: float) -> list[tuple[int, bytes]]:
        """Wait for events: seq and JSON, the very bytes that were published.

        Args:
            count: at most this many; with 0 it only looks for a newer connection.
            block_s: at most this long; 0 does not wait.
        Raises:
            SupersededError: when a newer connection to the session was opened.
        """
        events, newest = await self._store.wait_events(
            self._session_id, self.after_seq, self.connection, count=count, block_s=block_s
        )
        if newest > self.connection > 0:
            raise SupersededError(
                f"expected this to be the newest connection to session {self._session_id}, but another was opened; "
                "a session sends its events to one connection at a time"
            )
        if events and events[0][0] > self.after_seq + 1:  # trimmed from Redis: older ones are on disk
            lines = await self._read_spool(events[0][0] - 1, _BATCH_BYTES)
            events = lines[:count] or events
        if events:
            self.after_seq = events[-1][0]
        return events

    async def _read_spool(self, last_seq: int, max_bytes: int) -> list[tuple[int, bytes]]:
        return await asyncio.to_thread(self._spool.read, self.after_seq + 1, last_seq, max_bytes)
