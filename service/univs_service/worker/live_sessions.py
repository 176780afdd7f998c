"""The sessions that this worker holds. One that goes wrong ends, with a problem that says so; the others go on."""

import logging
import time
from collections.abc import Callable
from functools import partial

from univs.errors import WeightsError
from univs_service.errors import LeaseLostError, StoreUnavailableError, UnknownModelError
from univs_service.metrics import WorkerMetrics
from univs_service.settings import Settings
from univs_service.store.records import Claim
from univs_service.store.worker_store import WorkerStore
from univs_service.worker import convert
from univs_service.worker.engine import Engine
from univs_service.worker.engines import Engines
from univs_service.worker.lease import LeaseKeeper
from univs_service.worker.live_session import LiveSession
from univs_service.worker.scheduler import ClipRequest

logger = logging.getLogger(__name__)


class LiveSessions:
    """Claim sessions, let each do its part, and drop those that are over or owned by somebody else."""

    def __init__(
        self,
        engines: Engines,
        store: WorkerStore,
        keeper: LeaseKeeper,
        settings: Settings,
        metrics: WorkerMetrics,
        *,
        on_leave: Callable[[str], None],
    ) -> None:
        """Hold nothing yet.

        Args:
            engines: run the networks.
            store: where sessions come from and results go.
            keeper: renews the leases of what is held.
            settings: limits and intervals.
            metrics: what is counted.
            on_leave: called with the id of each session that is held no more.
        """
        self._on_leave = on_leave
        self._engines = engines
        self._store = store
        self._keeper = keeper
        self._settings = settings
        self._metrics = metrics
        self._sessions: dict[str, LiveSession] = {}
        self._engine_of: dict[str, Engine] = {}  # by session

    @property
    def has_room(self) -> bool:
        """Whether one more session may be claimed."""
        return len(self._sessions) < self._settings.max_sessions

    @property
    def runnable(self) -> list[str]:
        """Sessions that have a frame to run."""
        return [session_id for session_id, session in self._sessions.items() if session.is_runnable]

    @property
    def cursors(self) -> dict[str, str]:
        """By session, the last command that was read."""
        return {session_id: session.log_id for session_id, session in self._sessions.items()}

    def claim(self) -> None:
        """Take over sessions that wait, while there is room."""
        while self.has_room:
            claim = self._store.claim(self._keeper.worker_id, self._engines.claimable(self._in_use))
            if claim is None:
                break
            self._observe_claim(claim)
            if claim.lease.session_id in self._sessions:  # our own lease had run out
                self._drop(self._sessions[claim.lease.session_id], "claimed anew")
            self._keeper.keep(claim.lease)
            self._take_up(claim)
        self._observe()

    @property
    def _in_use(self) -> list[Engine]:
        return list(self._engine_of.values())

    def _take_up(self, claim: Claim) -> None:
        """Load the session's weights and open it; one whose weights are unusable ends with the problem."""
        unusable: Exception | None = None
        engine = self._engines.default
        try:
            engine = self._engines.get(claim.spec.model, self._in_use)
        except Exception as error:  # as in _guard: a file that breaks in a way of its own, no memory left
            logger.warning("weights unusable", extra={"model": claim.spec.model, "reason": str(error)})
            unusable = UnknownModelError(str(error)) if isinstance(error, WeightsError) else error
        session = self._read(claim, engine)
        if session is None:
            return
        self._sessions[session.session_id] = session
        self._engine_of[session.session_id] = engine
        self._guard(session, session.open if unusable is None else partial(_raise, unusable))

    def _read(self, claim: Claim, engine: Engine) -> LiveSession | None:
        """Read what the last owner left; None, and the lease runs out, when even that fails."""
        session_id = claim.lease.session_id
        try:
            return LiveSession(claim, engine, self._store, self._settings, self._metrics)
        except StoreUnavailableError:
            self._keeper.let_go(session_id)
            raise
        except Exception:  # as in _guard: a full disk, a broken snapshot
            logger.exception("session not taken up", extra={"session_id": session_id})
            self._keeper.let_go(session_id)
            return None

    def receive(self) -> None:
        """Let every session read its commands and publish what they cause."""
        for session_id in self._keeper.take_lost():
            if session_id in self._sessions:
                self._drop(self._sessions[session_id], "lease lost")
        for session in list(self._sessions.values()):
            self._guard(session, session.receive)

    def run(self, request: ClipRequest) -> None:
        """Let one session run its frames and publish what they give."""
        session = self._sessions[request.session_id]
        for _ in range(request.num_frames):
            if session.is_runnable:
                self._guard(session, session.step)

    def hand_over(self) -> None:
        """Save every session and give it back, for another worker to claim at once."""
        for session in list(self._sessions.values()):
            self._guard(session, session.hand_over)
            if session.session_id in self._sessions:
                self._drop(session, "handed over")

    def _guard(self, session: LiveSession, act: Callable[[], None]) -> None:
        """Do something for one session; whatever goes wrong with it ends this session and no other."""
        try:
            act()
        except StoreUnavailableError:
            raise  # nothing is lost: the loop comes back to it
        except LeaseLostError as error:
            logger.warning("lease lost", extra={"session_id": session.session_id, "reason": str(error)})
            self._metrics.lease_lost.inc()
            self._drop(session, "lease lost")
        except Exception as error:  # the worker's outermost loop: one bad session must not end the others
            problem = convert.problem_of(error)
            logger.exception("session failed", extra={"session_id": session.session_id, "code": problem.code})
            if session.is_failing:  # it cannot even be told so: its lease runs out, and somebody else tries
                self._drop(session, "failed twice")
                return
            try:
                session.fail(problem)
            except LeaseLostError:
                self._drop(session, "lease lost")
                return
            self._guard(session, session.settle)
        if session.is_over and session.session_id in self._sessions:
            self._drop(session, "over")

    def _drop(self, session: LiveSession, reason: str) -> None:
        logger.info("session left", extra={"session_id": session.session_id, "reason": reason})
        del self._sessions[session.session_id]
        del self._engine_of[session.session_id]
        self._keeper.let_go(session.session_id)
        self._on_leave(session.session_id)
        session.close()

    def _observe_claim(self, claim: Claim) -> None:
        state = claim.state
        is_failover = state.takeovers > 1 or state.last_seq > 0
        if is_failover:
            self._metrics.failovers.inc()
        else:
            self._metrics.queue_wait_seconds.observe(max(0.0, time.time() - claim.spec.created_at))
        logger.info(
            "session claimed",
            extra={
                "session_id": claim.lease.session_id,
                "epoch": claim.lease.epoch,
                "last_seq": state.last_seq,
                "is_failover": is_failover,
            },
        )

    def _observe(self) -> None:
        sessions = self._sessions.values()
        num_runnable = len(self.runnable)
        self._metrics.sessions.labels("runnable").set(num_runnable)
        self._metrics.sessions.labels("waiting").set(len(sessions) - num_runnable)
        self._metrics.objects_active.set(sum(session.num_objects for session in sessions))
        self._metrics.session_memory_bytes.set(sum(session.num_bytes for session in sessions))
        self._keeper.num_sessions = len(sessions)


def _raise(error: Exception) -> None:
    raise error
