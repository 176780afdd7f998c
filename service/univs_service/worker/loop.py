"""The worker's loop: claim, receive, plan, run and publish, over and over."""

import logging
import threading
import time

from univs_service.errors import StoreUnavailableError
from univs_service.settings import Settings
from univs_service.store.worker_store import WorkerStore
from univs_service.worker.lease import Watchdog
from univs_service.worker.live_sessions import LiveSessions
from univs_service.worker.scheduler import Scheduler

logger = logging.getLogger(__name__)

_CLAIM_INTERVAL_S = 0.05  # while there is work, look for more no oftener than this
_LONGEST_WAIT_S = 1.0
_PAUSE_S = 0.2  # before the store is asked again


class WorkerLoop:
    """One thread does everything that touches sessions."""

    def __init__(
        self, store: WorkerStore, sessions: LiveSessions, scheduler: Scheduler, watchdog: Watchdog, settings: Settings
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._scheduler = scheduler
        self._watchdog = watchdog
        self._wait_s = min(_LONGEST_WAIT_S, settings.worker_lease_s / 4)  # a lapsed lease wakes nobody
        self._stop = threading.Event()
        self._next_claim_s = 0.0

    def stop(self) -> None:
        """Let the loop end after the step that is running; safe in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Serve sessions until `stop`, then give them back."""
        while not self._stop.is_set():
            try:
                self.turn()
            except StoreUnavailableError as error:
                logger.warning("store unavailable", extra={"reason": str(error)})
                self._stop.wait(_PAUSE_S)
        try:
            self._sessions.hand_over()
        except StoreUnavailableError as error:
            logger.warning("sessions not handed over", extra={"reason": str(error)})

    def turn(self) -> None:
        """Let every session take in its commands, and one of them run a clip."""
        with self._watchdog.step():
            self._claim()
            self._sessions.receive()
            plan = self._scheduler.plan(self._sessions.runnable)
            for request in plan.items:
                self._sessions.run(request)
        if not plan.items:
            self._wait()

    def _claim(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_claim_s:
            self._sessions.claim()
            self._next_claim_s = now_s + _CLAIM_INTERVAL_S

    def _wait(self) -> None:
        """Nothing can be run: wait for a command, or for a session to claim."""
        self._store.wait(self._sessions.cursors, self._wait_s, is_claiming=self._sessions.has_room)
        self._next_claim_s = 0.0
