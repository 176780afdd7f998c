"""The store as the gateway sees it: make sessions, append to their logs, follow their events. Asynchronous.

StoreUnavailableError (503) says that Redis does not answer; the next call tries again by itself.
"""

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from univs_service.errors import (
    ConflictError,
    FrameOutOfOrderError,
    InvalidInputError,
    OverloadedError,
    PromptConflictError,
    SessionEndedError,
    TooManyError,
    UnknownSessionError,
    VideoInUseError,
)
from univs_service.messages import (
    AddPrompt,
    CloseSession,
    Command,
    Configure,
    DropFrame,
    FieldError,
    FrameDropped,
    PromptIn,
    Propagate,
    PushFrame,
    RefuseFrame,
    RemoveObject,
    SessionClosed,
    Video,
    WorkerInfo,
)
from univs_service.settings import Settings
from univs_service.store import decode, keys, scripts
from univs_service.store.connection import connect_async, redis_errors, words
from univs_service.store.records import SessionSpec, SessionState

_FRAMES = (PushFrame, RefuseFrame, DropFrame)


class GatewayStore:
    """Videos and sessions as one gateway process sees them; for one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis = connect_async(settings)
        self._waiting_redis = connect_async(settings, is_blocking=True)
        register = self._redis.register_script
        self._create = register(scripts.CREATE)
        self._append = register(scripts.APPEND)
        self._touch = register(scripts.TOUCH)
        self._due = register(scripts.DUE)
        self._connect = register(scripts.CONNECT)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await self._waiting_redis.aclose()

    async def check_writable(self) -> None:
        """Write something, so that readiness means that a session could be made."""
        with redis_errors():
            await self._redis.set(keys.PROBE, "1", px=1000)

    # --- videos ----------------------------------------------------------------------------------------------

    async def write_video(self, principal: str, video: Video) -> None:
        """Remember a stored video."""
        with redis_errors():
            await self._redis.set(keys.video(principal, video.video_id), video.model_dump_json())

    async def find_video(self, principal: str, video_id: str) -> Video | None:
        """Read a video's record; None when there is none."""
        with redis_errors():
            record = await self._redis.get(keys.video(principal, video_id))
        return Video.model_validate_json(record) if record else None

    async def forget_video(self, principal: str, video_id: str) -> None:
        """Delete a video's record; nothing happens when there is none.

        Raises:
            VideoInUseError: while a session that reads it has not ended.
        """
        users = keys.video_users(principal, video_id)
        with redis_errors():
            for member in await self._members(users):
                state = await self.find_state(member)
                if state is not None and not state.is_ended:
                    raise VideoInUseError(
                        f"expected no session to read video {video_id}, but {member} is {state.status}; "
                        f"close it with DELETE /v1/sessions/{member} first"
                    )
            await self._redis.delete(keys.video(principal, video_id), users)

    async def prune_video_users(self) -> None:
        """Forget which videos ended sessions read."""
        with redis_errors():
            async for key in self._redis.scan_iter(keys.video_users("*", "*")):
                for session_id in await self._members(key.decode()):
                    state = await self.find_state(session_id)
                    if state is None or state.is_ended:
                        async with self._redis.pipeline(transaction=False) as pipeline:
                            pipeline.srem(key, session_id)
                            await pipeline.execute()

    # --- sessions --------------------------------------------------------------------------------------------

    async def create_session(
        self, spec: SessionSpec, prompts: Sequence[PromptIn], configure: Configure | None = None
    ) -> None:
        """Make a session with its first prompts and let it wait for a worker; whole or not at all.

        Args:
            spec: of the session.
            prompts: on single objects.
            configure: what is asked of it besides; None for prompted objects alone.
        Raises:
            OverloadedError: when too many sessions wait already.
        """
        is_push = spec.video is None
        names = _names(configure)
        is_started = spec.auto_start and (bool(prompts) or bool(names) or is_push)
        commands: list[tuple[Command, str]] = [] if configure is None else [(configure, uuid4().hex)]
        commands += [(AddPrompt(prompt=prompt), prompt.prompt_id or uuid4().hex) for prompt in prompts]
        if is_started:
            commands.append((_start(spec), uuid4().hex))
        ttl_ms = 0 if is_started and not is_push else self._ttl_ms
        script_keys = [
            keys.ADMIT, keys.WAITING, keys.session(spec.session_id), keys.log(spec.session_id),
            keys.seen(spec.session_id), keys.objects(spec.session_id),
        ]  # fmt: skip
        if spec.video is not None:
            script_keys.append(keys.video_users(spec.principal, spec.video.video_id))
        arguments: list[Any] = [  # str and int, as redis-py takes them
            spec.session_id, spec.model_dump_json(), spec.model, spec.from_frame,
            self._settings.max_queued_sessions, ttl_ms, int(is_started), len(prompts),
            int(names == "brings"),
        ]  # fmt: skip
        for command, request_id in commands:
            body = command.model_dump_json()
            arguments += [request_id, _digest(body), body, _object_id(command)]
        with redis_errors():
            reply = words(await self._create(keys=script_keys, args=arguments))
        if reply[0] == "FULL":
            raise OverloadedError(
                f"expected fewer than {self._settings.max_queued_sessions} sessions to wait for a worker, "
                f"got {reply[1]}; try again later",
                retry_after_s=5.0,
            )

    async def append(self, spec: SessionSpec, command: Command, request_id: str | None = None) -> bool:
        """Append a command to a session's log.

        Args:
            spec: of the session.
            command: what to do; a prompt's `prompt_id` is its request id.
            request_id: the same id again does nothing.
        Returns:
            Whether it is new; False for a repeat.
        Raises:
            UnknownSessionError, SessionEndedError, PromptConflictError, TooManyError, FrameOutOfOrderError,
            InvalidInputError
        """
        session_id = spec.session_id
        if isinstance(command, AddPrompt):
            request_id = command.prompt.prompt_id
        elif isinstance(command, Configure):
            request_id = command.config_id
        needs_id = not isinstance(command, _FRAMES)  # frames are recognised by their number
        body = command.model_dump_json()
        reason = command.reason if isinstance(command, CloseSession) else ""
        closed = SessionClosed(seq=1, reason=reason, final_seq=1)
        dropped = FrameDropped(seq=1, run_id=1, frame_index=0, reason="closed")
        with redis_errors():
            reply = words(
                await self._append(
                    keys=[
                        keys.ADMIT, keys.WAITING, keys.session(session_id), keys.log(session_id),
                        keys.seen(session_id), keys.objects(session_id), keys.out(session_id),
                        keys.control(session_id),
                    ],
                    args=[
                        session_id, command.type, (request_id or uuid4().hex) if needs_id else "", _digest(body),
                        body, _object_id(command), self._settings.max_objects, self._settings.max_prompts,
                        _start(spec).model_dump_json() if _starts(spec, command) else "", int(spec.video is None),
                        command.frame_index if isinstance(command, _FRAMES) else 0, closed.model_dump_json(),
                        round(self._settings.results_retention_s * 1000), dropped.model_dump_json(),
                        _names(command),
                    ],
                )
            )  # fmt: skip
        self._check_append(reply, spec, command)
        return reply[0] == "OK"

    def _check_append(self, reply: list[str], spec: SessionSpec, command: Command) -> None:
        session_id = spec.session_id
        match reply:
            case ["UNKNOWN"]:
                raise unknown_session(session_id)
            case ["ENDED", status]:
                raise SessionEndedError(
                    f"expected a session that has not ended, but {session_id} is {status}; "
                    "start a new one with POST /v1/sessions"
                )
            case ["CONFLICT"]:
                raise PromptConflictError(
                    "expected an id that is new or was sent with this very prompt or configuration before; "
                    "send what has changed under a new prompt_id or config_id"
                )
            case ["MANY_OBJECTS"]:
                raise TooManyError(
                    f"expected at most {self._settings.max_objects} objects in a session, got one more; "
                    "remove an object or start another session"
                )
            case ["MANY_PROMPTS"]:
                raise TooManyError(
                    f"expected at most {self._settings.max_prompts} prompts in a session, got one more; "
                    "start another session"
                )
            case ["NO_NAMES"]:
                raise no_names()
            case ["ORDER", expected]:
                assert isinstance(command, _FRAMES)
                raise FrameOutOfOrderError(
                    f"expected frame {expected} next, got frame {command.frame_index}; "
                    f"push from frame {expected} on, without holes"
                )
            case ["INPUT_ENDED"]:
                raise ConflictError("expected no frame after the end of the input, got one; start another session")
            case _:
                assert reply[0] in {"OK", "REPEAT"}, reply

    async def find_state(self, session_id: str) -> SessionState | None:
        """Read where a session stands; None when there is no such session."""
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.hgetall(keys.session(session_id))
                pipeline.zscore(keys.WAITING, session_id)
                fields, waits_until_ms = await pipeline.execute()
        return decode.session_state(decode.fields_of(fields), waits_until_ms) if fields else None

    async def read_state(self, principal: str, session_id: str) -> SessionState:
        """Read where a session of this principal stands.

        Raises:
            UnknownSessionError: when there is none.
        """
        state = await self.find_state(session_id)
        if state is None or state.spec.principal != principal:
            raise unknown_session(session_id)
        return state

    async def touch(self, session_id: str) -> None:
        """Say that the session's client is there."""
        with redis_errors():
            await self._touch(keys=[keys.WAITING], args=[session_id, self._ttl_ms])

    async def due_sessions(self) -> list[str]:
        """List sessions whose client has been away for too long."""
        with redis_errors():
            _, _, session_ids = await self._due(keys=[keys.WAITING])  # OK, time, members
        return [session_id.decode() for session_id in session_ids]

    async def forget_waiting(self, session_id: str) -> None:
        """Take a session off the list of those that wait for their client."""
        with redis_errors():
            await self._redis.zrem(keys.WAITING, session_id)

    async def connect_client(self, session_id: str) -> int:
        """Number a new connection to a session; connections with smaller numbers learn of it."""
        with redis_errors():
            reply = words(await self._connect(keys=[keys.session(session_id), keys.control(session_id)]))
        if reply[0] == "UNKNOWN":
            raise unknown_session(session_id)
        return int(reply[1])

    async def queue_length(self) -> int:
        """Count the sessions that wait for a worker."""
        with redis_errors():
            return int(await self._redis.xlen(keys.ADMIT))

    # --- events ----------------------------------------------------------------------------------------------

    async def wait_events(
        self, session_id: str, after_seq: int, connection: int, *, count: int, block_s: float
    ) -> tuple[list[tuple[int, bytes]], int]:
        """Wait for events after a seq, or for a newer connection than this one.

        Args:
            session_id: of the session.
            after_seq: last event that the caller holds.
            connection: number of the caller's connection; 0 when it does not mind newer ones.
            count: at most this many events; with 0 only newer connections are looked for.
            block_s: at most this long; 0 does not wait.
        Returns:
            Events in order (seq and JSON; the first may be later than `after_seq` + 1 when the stream was trimmed),
            and the number of the newest connection.
        """
        streams: dict[Any, Any] = {}  # redis-py's own type is an invariant union of eight
        if count:
            streams[keys.out(session_id)] = f"{after_seq}-0"
        if connection:
            streams[keys.control(session_id)] = f"{connection}-0"
        with redis_errors():
            reply = await self._waiting_redis.xread(
                streams, count=count or 1, block=round(block_s * 1000) if block_s else None
            )
        events: list[tuple[int, bytes]] = []
        newest = connection
        assert isinstance(reply, list), reply
        for name, entries in reply:
            if name == keys.out(session_id).encode():
                events = decode.events(decode.entries_of(entries))
            else:
                newest = max(int(entry_id.split(b"-")[0]) for entry_id, _ in decode.entries_of(entries))
        return events, newest

    # --- workers ---------------------------------------------------------------------------------------------

    async def read_workers(self) -> list[WorkerInfo]:
        """Read the heartbeats of the workers that are alive."""
        with redis_errors():
            worker_ids = await self._members(keys.WORKERS)
            if not worker_ids:
                return []
            beats = await self._redis.mget([keys.worker(worker_id) for worker_id in worker_ids])
            gone = [worker_id for worker_id, beat in zip(worker_ids, beats, strict=True) if beat is None]
            if gone:
                async with self._redis.pipeline(transaction=False) as pipeline:
                    pipeline.srem(keys.WORKERS, *gone)
                    await pipeline.execute()
        return [WorkerInfo.model_validate_json(beat) for beat in beats if beat is not None]

    async def _members(self, key: str) -> list[str]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.smembers(key)
            (members,) = await pipeline.execute()
        return sorted(member.decode() for member in members)

    @property
    def _ttl_ms(self) -> int:
        return round(self._settings.session_ttl_s * 1000)


def unknown_session(session_id: str) -> UnknownSessionError:
    """Make the error for a session that is not there."""
    return UnknownSessionError(
        f"expected the id of a session, got {session_id!r}, which never existed or has expired; "
        "start one with POST /v1/sessions"
    )


def no_names() -> InvalidInputError:
    """Make the error for a task about categories in a session that knows none."""
    return InvalidInputError(
        "expected names of categories for vis, vss and vps, got none; give `vocabulary`: the name of one "
        "(GET /v1/models lists them), or a list of names",
        errors=[FieldError(loc=["vocabulary"], msg="must be given with such a task")],
    )


def _names(command: Command | None) -> str:
    """Say what a configuration has to do with names, as the scripts take it."""
    if not isinstance(command, Configure):
        return ""
    return "brings" if command.vocabulary is not None else "needs" if command.needs_names else ""


def _starts(spec: SessionSpec, command: Command) -> bool:
    """Say whether a session that waits for something to do may start with this."""
    return spec.auto_start and (not isinstance(command, Configure) or command.needs_names)


def _start(spec: SessionSpec) -> Propagate:
    return Propagate(to_frame=spec.to_frame)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:32]


def _object_id(command: Command) -> str:
    match command:
        case AddPrompt():
            return str(command.prompt.object_id)
        case RemoveObject():
            return str(command.object_id)
        case _:
            return ""
