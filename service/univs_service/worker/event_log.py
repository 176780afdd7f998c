"""The events of one session on their way out: numbered, spooled, published; each exactly once, over restarts too."""

import logging

from univs_service.messages import Event, Problem, SessionStatus
from univs_service.store.records import Lease
from univs_service.store.worker_store import WorkerStore
from univs_service.worker.spool import Spool

logger = logging.getLogger(__name__)

UNNUMBERED = 1  # seq of an event until the log numbers it

_REFILL_COUNT = 256


class EventLog:
    """Number events in the order they are written.

    A restored session recomputes what came after its snapshot and so writes events again that were published before
    the crash. They get the numbers they had, and what is published already is not published twice.
    """

    def __init__(self, store: WorkerStore, lease: Lease, spool: Spool, *, last_seq: int, published_seq: int) -> None:
        """Go on after an event.

        Args:
            store: to publish to.
            lease: of the session.
            spool: the session's file.
            last_seq: the last event that the session's memory accounts for.
            published_seq: the last event that was published; at least `last_seq`.
        """
        assert last_seq <= published_seq, f"memory is at event {last_seq}, only {published_seq} were published"
        self._store = store
        self._lease = lease
        self._spool = spool
        self._last_seq = last_seq
        self._published_seq = published_seq
        self._unpublished: list[bytes] = []
        self._refill()

    @property
    def last_seq(self) -> int:
        """Number of the event written last."""
        return self._last_seq

    @property
    def published_seq(self) -> int:
        """Number of the event published last."""
        return self._published_seq

    @property
    def is_caught_up(self) -> bool:
        """Whether everything published is accounted for: what is written from now on is new."""
        return self._last_seq >= self._published_seq

    @property
    def unpublished(self) -> tuple[bytes, ...]:
        """Events that are written and not published yet, oldest first."""
        return tuple(self._unpublished)

    def write(self, event: Event) -> None:
        """Give an event the next number; `flush` publishes it."""
        self._last_seq += 1
        if self._last_seq > self._published_seq:
            numbered = event.model_copy(update={"seq": self._last_seq})
            self._unpublished.append(numbered.model_dump_json().encode())

    def write_again(self, lines: list[bytes]) -> None:
        """Take over events that an earlier worker wrote and perhaps did not publish."""
        assert not self._unpublished, "write_again() comes first"
        num_published = min(len(lines), self._published_seq - self._last_seq)
        self._last_seq += len(lines)
        self._unpublished.extend(lines[num_published:])

    def skip_to_published(self) -> None:
        """Give up recomputing what was published: the session ends here, whatever was to come."""
        if not self.is_caught_up:
            self._last_seq = self._published_seq

    def flush(self, *, next_frame: int, num_objects: int) -> None:
        """Spool and publish what is written. After a failure of the store, call it again."""
        if not self._unpublished:
            return
        first_seq = self._spool_unpublished()
        self._store.publish(self._lease, first_seq, self._unpublished, next_frame=next_frame, num_objects=num_objects)
        self._mark_published()

    def finish(self, status: SessionStatus, problem: Problem | None, *, next_frame: int, num_objects: int) -> None:
        """Publish what is written and end the session, in one step. After a failure of the store, call it again."""
        try:
            first_seq = self._spool_unpublished()
        except OSError as error:  # a full disk must not keep a session from ending
            logger.warning("spool not written", extra={"reason": str(error)})
            first_seq = self._published_seq + 1
        self._store.finish(
            self._lease,
            status,
            first_seq,
            self._unpublished,
            next_frame=next_frame,
            num_objects=num_objects,
            problem=problem,
        )
        self._mark_published()

    def _spool_unpublished(self) -> int:
        first_seq = self._published_seq + 1
        self._spool.append(first_seq, self._unpublished)
        return first_seq

    def _mark_published(self) -> None:
        self._published_seq += len(self._unpublished)
        self._unpublished.clear()

    def _refill(self) -> None:
        """Write lines again that the disk has lost but Redis still holds."""
        while self._spool.num_lines < self._published_seq:
            first_seq = self._spool.num_lines + 1
            events = self._store.read_events(self._lease.session_id, first_seq, _REFILL_COUNT)
            if not events or events[0][0] != first_seq:
                break
            self._spool.append(first_seq, [line for _, line in events])
