"""Signs of life: leases of sessions and the worker's heartbeat, renewed by a thread while the loop computes.

A thread of its own keeps a long step from looking like a dead worker. Therefore it also watches the step: one that
hangs must not keep its sessions for ever, so nothing is renewed any more, and the process ends itself.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from univs_service.errors import LeaseLostError, StoreUnavailableError
from univs_service.messages import WorkerInfo
from univs_service.store.records import Lease
from univs_service.store.worker_store import WorkerStore

logger = logging.getLogger(__name__)


class Watchdog:
    """Know since when a step has been running. Its clock is given, so that tests need not wait."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._started_s: float | None = None

    @contextmanager
    def step(self) -> Iterator[None]:
        """Watch what happens inside."""
        self._started_s = self._clock()
        try:
            yield
        finally:
            self._started_s = None

    @property
    def is_hung(self) -> bool:
        """Whether a step has run for longer than the limit."""
        started_s = self._started_s
        return started_s is not None and self._clock() - started_s > self._limit_s


class LeaseKeeper:
    """Renew the leases of this worker's sessions, and say that it is alive."""

    def __init__(
        self,
        store: WorkerStore,
        describe: Callable[[int], WorkerInfo],
        watchdog: Watchdog,
        *,
        worker_id: str,
        interval_s: float,
        on_hang: Callable[[], None],
    ) -> None:
        """Prepare; `start` begins.

        Args:
            store: to renew in.
            describe: gives the heartbeat for a number of sessions.
            watchdog: of the loop.
            worker_id: of this process.
            interval_s: between two renewals.
            on_hang: called once, from the thread, when a step hangs.
        """
        self.worker_id = worker_id
        self.num_sessions = 0
        self._store = store
        self._describe = describe
        self._watchdog = watchdog
        self._interval_s = interval_s
        self._on_hang = on_hang
        self._leases: dict[str, Lease] = {}
        self._lost: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Renew no more."""
        self._stop.set()
        self._thread.join()

    def keep(self, lease: Lease) -> None:
        """Renew a lease from now on."""
        with self._lock:
            self._leases[lease.session_id] = lease
            self._lost.discard(lease.session_id)  # an older lease of ours was lost, not this one

    def let_go(self, session_id: str) -> None:
        """Renew a session's lease no more."""
        with self._lock:
            self._leases.pop(session_id, None)
            self._lost.discard(session_id)

    def take_lost(self) -> set[str]:
        """Give the sessions that were found to belong to somebody else since the last call."""
        with self._lock:
            lost, self._lost = self._lost, set()
            return lost

    def beat(self) -> None:
        """Renew everything once.

        Raises:
            StoreUnavailableError: when Redis does not answer.
        """
        self._store.beat(self._describe(self.num_sessions))
        with self._lock:
            leases = list(self._leases.values())
        for lease in leases:
            try:
                self._store.renew(lease)
            except LeaseLostError:
                with self._lock:
                    if self._leases.get(lease.session_id) == lease:
                        self._lost.add(lease.session_id)

    def _run(self) -> None:
        while not self._watchdog.is_hung:
            try:
                self.beat()
            except StoreUnavailableError as error:
                logger.warning("heartbeat failed", extra={"reason": str(error)})
            if self._stop.wait(self._interval_s):
                return
        logger.error("step hangs", extra={"worker_id": self.worker_id, "num_sessions": self.num_sessions})
        self._on_hang()
