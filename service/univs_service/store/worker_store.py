"""The store as the worker sees it: claim sessions, read their commands, publish their events. Blocking calls.

Every write names the lease it is made under; LeaseLostError says that another worker owns the session by now:
drop it.
StoreUnavailableError says that Redis does not answer: try again later, nothing was lost.
"""

from collections.abc import Mapping, Sequence

from univs_service.errors import LeaseLostError
from univs_service.messages import (
    CameraCommand,
    DropFrame,
    FrameCommand,
    InputEnd,
    Problem,
    PushFrame,
    RefuseFrame,
    SessionStatus,
    Weights,
    WorkerInfo,
)
from univs_service.settings import Settings
from univs_service.store import decode, keys, scripts
from univs_service.store.connection import connect, redis_errors, words
from univs_service.store.records import Claim, Lease, LoggedCommand, SessionState, Snapshot

_CANDIDATES = 64


class WorkerStore:
    """Sessions as one worker process sees them. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis = connect(settings)
        register = self._redis.register_script
        self._claim = register(scripts.CLAIM)
        self._due = register(scripts.DUE)
        self._renew = register(scripts.RENEW)
        self._release = register(scripts.RELEASE)
        self._publish = register(scripts.PUBLISH)
        self._snapshot = register(scripts.SNAPSHOT)
        self._feed = register(scripts.FEED)
        self._end_input = register(scripts.END_INPUT)
        self._finish = register(scripts.FINISH)
        self._lease_ms = round(settings.worker_lease_s * 1000)
        self._seen_admission = "0-0"  # newest entry of the admission stream that `claim` has looked at

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    # --- taking sessions over -------------------------------------------------------------------------------

    def claim(self, worker_id: str, weights: Mapping[str, Weights]) -> Claim | None:
        """Take over one session: first one whose worker fell silent, else the oldest that waits.

        Args:
            worker_id: of the caller; shown as the owner.
            weights: by model name, what this worker can run; sessions of other models are left alone.
        Returns:
            The session under a new epoch, or None when there is none.
        """
        with redis_errors():
            for session_id, entry in [*self._lapsed(), *self._admitted(weights)]:
                claim = self._try_claim(session_id, entry, worker_id, weights)
                if claim is not None:
                    return claim
        return None

    def _lapsed(self) -> list[tuple[str, str]]:
        _, _, session_ids = self._due(keys=[keys.LEASES])  # OK, time, members
        return [(session_id.decode(), "") for session_id in session_ids]

    def _admitted(self, weights: Mapping[str, Weights]) -> list[tuple[str, str]]:
        newest = decode.entries_of(self._redis.xrevrange(keys.ADMIT, count=1))
        entries = decode.entries_of(self._redis.xrange(keys.ADMIT, count=_CANDIDATES))
        self._seen_admission = newest[0][0].decode() if newest else "0-0"
        return [
            (fields[b"session"].decode(), entry.decode())
            for entry, fields in entries
            if fields[b"model"].decode() in weights
        ]

    def _try_claim(self, session_id: str, entry: str, worker_id: str, weights: Mapping[str, Weights]) -> Claim | None:
        before = self.read_state(session_id)
        if before is not None and before.spec.model not in weights:
            return None
        chosen = "" if before is None else weights[before.spec.model].model_dump_json()
        reply = words(
            self._claim(
                keys=[keys.session(session_id), keys.ADMIT, keys.LEASES],
                args=[session_id, worker_id, self._lease_ms, chosen, entry],
            )
        )
        state = self.read_state(session_id) if reply[0] == "OK" else None
        if state is None:
            return None
        return Claim(lease=Lease(session_id=session_id, epoch=int(reply[1])), state=state)

    def renew(self, lease: Lease) -> None:
        """Keep a session for another `worker_lease_s`."""
        with redis_errors():
            reply = self._renew(
                keys=[keys.session(lease.session_id), keys.LEASES],
                args=[lease.epoch, lease.session_id, self._lease_ms],
            )
        _check(reply, lease)

    def release(self, lease: Lease) -> None:
        """Give a session back, for another worker to claim at once."""
        with redis_errors():
            reply = self._release(
                keys=[keys.session(lease.session_id), keys.LEASES], args=[lease.epoch, lease.session_id]
            )
        _check(reply, lease)

    # --- reading --------------------------------------------------------------------------------------------

    def read_state(self, session_id: str) -> SessionState | None:
        """Read where a session stands; None when there is no such session."""
        with redis_errors():
            fields = decode.fields_of(self._redis.hgetall(keys.session(session_id)))
        return decode.session_state(fields) if fields else None

    def read_commands(self, session_id: str, after: str = "0-0", count: int = 256) -> list[LoggedCommand]:
        """Read commands of a session's log in order, those after the log id `after`; does not wait."""
        with redis_errors():
            reply = self._redis.xrange(keys.log(session_id), min=f"({after}", count=count)
        return decode.commands(decode.entries_of(reply))

    def wait(self, cursors: Mapping[str, str], timeout_s: float, *, is_claiming: bool = True) -> None:
        """Wait until there is a new command after one of `cursors`, a session to claim, or the time is over.

        Args:
            cursors: session id -> log id of the last command that the caller has read of it.
            timeout_s: at most this long.
            is_claiming: whether a session that enters the admission stream ends the wait.
        """
        streams: dict[str | bytes | memoryview, str | int | bytes | memoryview] = {
            keys.log(session_id): after for session_id, after in cursors.items()
        }
        if is_claiming:
            streams[keys.ADMIT] = self._seen_admission
        if not streams:
            return
        limit_s = min(timeout_s, self._settings.redis_timeout_s / 2)
        with redis_errors():
            self._redis.xread(streams, count=1, block=max(1, round(limit_s * 1000)))

    def read_snapshot(self, session_id: str) -> Snapshot | None:
        """Read the latest snapshot; None when none was written yet."""
        with redis_errors():
            fields = decode.fields_of(self._redis.hgetall(keys.snapshot(session_id)))
        if not fields:
            return None
        return Snapshot(
            next_frame=int(fields[b"next_frame"]),
            log_id=fields[b"log_id"].decode(),
            seq=int(fields[b"seq"]),
            data=fields[b"data"],
        )

    def read_events(self, session_id: str, first_seq: int, count: int = 256) -> list[tuple[int, bytes]]:
        """Read published events from `first_seq` on, as far as the stream still holds them: seq and JSON."""
        with redis_errors():
            reply = self._redis.xrange(keys.out(session_id), min=f"{first_seq}-0", count=count)
        return decode.events(decode.entries_of(reply))

    # --- writing --------------------------------------------------------------------------------------------

    def publish(
        self, lease: Lease, first_seq: int, events: Sequence[bytes], *, next_frame: int, num_objects: int
    ) -> None:
        """Publish events, whole or not at all; the same call again does nothing.

        Args:
            lease: of the session.
            first_seq: of the first event; must be the last published one plus 1.
            events: JSON of StreamEvent: the very bytes of the lines in the spool file, less the line's end.
            next_frame: first frame without a terminal event, after these.
            num_objects: objects with prompts, after these.
        Raises:
            LeaseLostError: for a stale epoch; nothing was written.
        """
        if not events:
            return
        with redis_errors():
            reply = self._publish(
                keys=[keys.session(lease.session_id), keys.out(lease.session_id)],
                args=[
                    lease.epoch, first_seq, self._settings.results_maxlen, next_frame, num_objects, *events
                ],
            )  # fmt: skip
        _check(reply, lease)

    def save_snapshot(self, lease: Lease, snapshot: Snapshot) -> None:
        """Replace the session's snapshot; commands that it covers may leave the log."""
        with redis_errors():
            reply = self._snapshot(
                keys=[keys.session(lease.session_id), keys.snapshot(lease.session_id), keys.log(lease.session_id)],
                args=[lease.epoch, snapshot.next_frame, snapshot.log_id, snapshot.seq, snapshot.data],
            )
        _check(reply, lease)

    def feed(self, lease: Lease, command: FrameCommand | CameraCommand | InputEnd) -> bool:
        """Append what comes of a session's camera to its log; False when the session takes no more of it."""
        frame_index = command.frame_index if isinstance(command, PushFrame | DropFrame | RefuseFrame) else ""
        with redis_errors():
            reply = self._feed(
                keys=[keys.session(lease.session_id), keys.log(lease.session_id)],
                args=[lease.epoch, command.model_dump_json(), frame_index],
            )
        if words(reply)[0] in {"REPEAT", "ENDED"}:
            return words(reply)[0] == "REPEAT"  # written before, and the answer was lost
        _check(reply, lease)
        return True

    def end_input(self, lease: Lease) -> int:
        """Take no more pushed frames; give how many were taken: each of them must get its event."""
        with redis_errors():
            reply = self._end_input(keys=[keys.session(lease.session_id)], args=[lease.epoch])
        _check(reply, lease)
        return int(words(reply)[1])

    def finish(
        self,
        lease: Lease,
        status: SessionStatus,
        first_seq: int,
        events: Sequence[bytes],
        *,
        next_frame: int,
        num_objects: int,
        problem: Problem | None = None,
    ) -> None:
        """Publish the last events, `session.closed` among them, and end the session; whole or not at all.

        Args:
            lease: of the session.
            status: DONE, FAILED or CLOSED.
            first_seq: as for `publish`.
            events: as for `publish`; may be empty when all were published before.
            next_frame: as for `publish`.
            num_objects: as for `publish`.
            problem: of a failed session.
        """
        session_id = lease.session_id
        with redis_errors():
            reply = self._finish(
                keys=[
                    keys.session(session_id), keys.out(session_id), keys.LEASES, keys.WAITING,
                    keys.snapshot(session_id), keys.log(session_id), keys.seen(session_id),
                    keys.objects(session_id), keys.control(session_id),
                ],
                args=[
                    lease.epoch, first_seq, self._settings.results_maxlen, next_frame, num_objects, *events,
                    session_id, status.value, problem.model_dump_json() if problem else "",
                    round(self._settings.results_retention_s * 1000),
                ],
            )  # fmt: skip
        _check(reply, lease)

    # --- heartbeat ------------------------------------------------------------------------------------------

    def beat(self, info: WorkerInfo) -> None:
        """Say that this worker is alive and what it can do; call every `heartbeat_s`."""
        ttl_ms = round(self._settings.heartbeat_s * 5000)
        with redis_errors(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.set(keys.worker(info.worker_id), info.model_dump_json(), px=ttl_ms)
            pipeline.sadd(keys.WORKERS, info.worker_id)
            pipeline.execute()

    def leave(self, worker_id: str) -> None:
        """Take this worker off the list of those alive."""
        with redis_errors(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(keys.worker(worker_id))
            pipeline.srem(keys.WORKERS, worker_id)
            pipeline.execute()


def _check(reply: object, lease: Lease) -> None:
    word, *rest = words(reply)
    if word == "FENCED":
        raise LeaseLostError(
            f"expected epoch {lease.epoch} to own session {lease.session_id}, but a newer "
            "one does or it has ended; drop the session"
        )
    assert word == "OK", f"session {lease.session_id}: events must follow seq {rest}"
