"""The websocket of a session: commands and frames in, events out, with replay and a credit window."""

import asyncio
import json
import logging
import time
from contextlib import suppress

from fastapi import APIRouter, WebSocket
from pydantic import TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnect

from univs_service.errors import (
    BadMessageError,
    ConflictError,
    FrameOutOfOrderError,
    HelloTimeoutError,
    InternalError,
    InvalidInputError,
    ServiceError,
    SessionEndedError,
    SupersededError,
)
from univs_service.gateway import commands
from univs_service.gateway.frames import InputFrame, find_fault, read_frame, spool_frame
from univs_service.gateway.problems import invalid_input
from univs_service.gateway.results import make_follower
from univs_service.gateway.socket import Socket
from univs_service.gateway.state import PRINCIPAL, Gateway, gateway_of
from univs_service.messages import (
    Ack,
    ClientMessage,
    CloseSession,
    Configure,
    DropFrame,
    FrameCommand,
    Hello,
    InputEnd,
    Ping,
    Pong,
    PromptAdd,
    Propagate,
    PushSource,
    Ready,
    RefuseFrame,
    RemoveObject,
)
from univs_service.store.follow import EventFollower
from univs_service.store.records import SessionSpec, SessionState

_logger = logging.getLogger(__name__)
router = APIRouter()
_CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)
_BATCH = 32
_BLOCK_S = 1.0
_MAX_REFUSALS = 16  # so many refused messages one after the other, and the socket is closed
_POLL_S = (0.01, 0.2)  # first and longest wait for room for one more pushed frame
_LONGEST_LAST_EVENT = 4096
_REFUSED = (ConflictError, InvalidInputError, SessionEndedError)  # the message is wrong, the connection is not
_FATAL = (FrameOutOfOrderError, SupersededError)  # those of them after which no frame can follow


@router.websocket("/v1/sessions/{session_id}/stream")
async def stream(websocket: WebSocket, session_id: str) -> None:
    """Attach a client to a session; the newest connection wins."""
    gateway = gateway_of(websocket)
    socket = Socket(websocket, gateway)
    with gateway.metrics.sockets.track_inprogress(), suppress(WebSocketDisconnect):
        await _serve(gateway, socket, session_id)


async def _serve(gateway: Gateway, socket: Socket, session_id: str) -> None:
    try:
        await socket.accept()
        hello = await _receive_hello(socket, gateway.settings.hello_timeout_s)
        state = await gateway.store.read_state(PRINCIPAL, session_id)
        connection = Connection(gateway, socket, state, hello)
        await connection.open(state)
        await connection.run()
    except ServiceError as error:
        _logger.info("socket refused", extra={"session_id": session_id, "code": error.code, "detail": error.detail})
        await socket.fail(error)
    except WebSocketDisconnect:
        raise
    except Exception:
        await socket.fail(InternalError("expected to serve the session, but the service failed; connect again"))
        raise


async def _receive_hello(socket: Socket, timeout_s: float) -> Hello:
    try:
        async with asyncio.timeout(timeout_s):
            message = read_message(await socket.receive())
    except TimeoutError:
        raise HelloTimeoutError(
            f"expected `hello` within {timeout_s:g} s of connecting, got nothing; connect again and send it first"
        ) from None
    if not isinstance(message, Hello):
        raise BadMessageError(f"expected `hello` as the first message, got `{message.type}`")
    return message


def read_message(message: str | bytes) -> ClientMessage:
    """Read a text message of a client.

    Raises:
        BadMessageError: when it is no message of ours.
        InvalidInputError: when it is one, with wrong values.
    """
    if isinstance(message, bytes):
        raise BadMessageError("expected `hello` as text first, got a binary message")
    try:
        return _CLIENT_MESSAGE.validate_json(message)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # no JSON, no object, or of no known type
            raise BadMessageError(f"expected a JSON object with a known `type`, got: {first['msg']}") from error
        raise invalid_input(error, "a message") from error


class Connection:
    """One client attached to one session: a task that sends events and one that takes commands."""

    def __init__(self, gateway: Gateway, socket: Socket, state: SessionState, hello: Hello) -> None:
        self._gateway = gateway
        self._socket = socket
        self._spec: SessionSpec = state.spec
        self._window = hello.window
        self._follower: EventFollower = make_follower(gateway, state.spec.session_id, hello.last_seq)
        self._acked = hello.last_seq
        self._has_credit = asyncio.Event()
        self._next_push = state.next_push
        self._next_frame = state.next_frame
        self._refusals = 0
        self._touched_at = -1e9

    async def open(self, state: SessionState) -> None:
        """Take over the session from any older connection and say `ready`."""
        asked = self._follower.after_seq  # beyond the last event when Redis lost its last second: those come again
        self._follower.connection = await self._gateway.store.connect_client(self._spec.session_id)
        await self._touch()
        gap = await self._follower.find_gap()
        self._acked = self._follower.after_seq
        if asked:
            self._gateway.metrics.resumes.labels("gap" if gap else "complete").inc()
        ready = Ready(
            session_id=self._spec.session_id,
            status=state.status,
            model=self._spec.model,
            weights=state.weights,
            next_seq=self._follower.after_seq + 1,
            resend_from=state.next_push,
            gap=gap,
            limits=self._gateway.settings.limits(),
        )
        await self._socket.send(ready)
        _logger.info(
            "client attached",
            extra={
                "session_id": self._spec.session_id,
                "connection": self._follower.connection,
                "after_seq": asked,
                "window": self._window,
            },
        )

    async def run(self) -> None:
        """Send and receive until the session ends or the client leaves."""
        tasks = [asyncio.create_task(self._send_events()), asyncio.create_task(self._receive_messages())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        await self._socket.close(1000, "the session has ended")

    # --- out -----------------------------------------------------------------------------------------------------

    async def _send_events(self) -> None:
        while True:
            credit = self._acked + self._window - self._follower.after_seq
            if credit > 0:
                events = await self._follower.next_events(min(credit, _BATCH), _BLOCK_S)
            else:
                events = await self._wait_for_credit()
            for _, event in events:
                await self._socket.send_event(event)
            await self._touch()
            if events and _is_last(events[-1][1]):
                return
            if not events and credit > 0 and await self._is_over():
                return

    async def _wait_for_credit(self) -> list[tuple[int, bytes]]:
        self._gateway.metrics.credit_stalls.inc()
        self._has_credit.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_BLOCK_S):
                await self._has_credit.wait()
        return await self._follower.next_events(0, block_s=0)

    async def _is_over(self) -> bool:
        """Say whether there is nothing more to come."""
        state = await self._gateway.store.read_state(PRINCIPAL, self._spec.session_id)
        return state.is_ended and state.last_seq <= self._follower.after_seq

    async def _touch(self) -> None:
        """Let the session know that its client is there; not more often than it needs to."""
        now = time.monotonic()
        if now - self._touched_at > self._gateway.settings.session_ttl_s / 4:
            self._touched_at = now
            await self._gateway.store.touch(self._spec.session_id)

    # --- in ------------------------------------------------------------------------------------------------

    async def _receive_messages(self) -> None:
        while True:
            received = await self._socket.receive()
            await self._touch()
            try:
                if isinstance(received, bytes):
                    await self._take_frame(received)
                else:
                    await self._obey(read_message(received))
                self._refusals = 0
            except _REFUSED as error:
                self._refusals += 1
                if isinstance(error, _FATAL) or self._refusals >= _MAX_REFUSALS:
                    raise
                await self._socket.send_error(error, _prompt_id_of(received))

    async def _obey(self, message: ClientMessage) -> None:
        gateway, spec = self._gateway, self._spec
        match message:
            case Ack():
                self._take_ack(message.seq)
            case Ping():
                await self._socket.send(Pong(t=message.t))
            case PromptAdd():
                await commands.add_prompt(gateway, spec, message.to_prompt())
            case Configure():
                await commands.configure(gateway, spec, message)
            case RemoveObject():
                await commands.remove_object(gateway, spec, message.object_id)
            case Propagate():
                await commands.run(gateway, spec, message)
            case InputEnd():
                await commands.end_input(gateway, spec)
            case CloseSession():
                await commands.close_session(gateway, spec)
            case Hello():
                raise BadMessageError("expected `hello` only as the first message, got another one")

    def _take_ack(self, seq: int) -> None:
        if seq > self._follower.after_seq:
            raise BadMessageError(f"expected ack up to seq {self._follower.after_seq}, the last one sent, got {seq}")
        self._acked = max(self._acked, seq)
        self._has_credit.set()

    async def _take_frame(self, message: bytes) -> None:
        frame = read_frame(message, self._spec)
        if frame.frame_index > self._next_push:
            raise FrameOutOfOrderError(
                f"expected frame {self._next_push} next, got frame {frame.frame_index}; "
                f"push from frame {self._next_push} on, without holes"
            )
        if frame.frame_index < self._next_push:
            return  # sent again after a lost connection: it is there
        await self._gateway.store.append(self._spec, await self._to_command(frame))
        self._next_push += 1
        self._gateway.metrics.pushed_frames.labels(frame.header.encoding).inc()
        self._gateway.metrics.pushed_frame_bytes.inc(len(message))

    async def _to_command(self, frame: InputFrame) -> FrameCommand:
        """Decide what becomes of a frame: it is kept for the worker, refused, or dropped for want of room."""
        source = self._spec.source
        assert isinstance(source, PushSource), "read_frame() refuses frames of other sessions"
        fault = find_fault(frame, source)
        if fault is not None:
            await self._wait_for_room()
            return RefuseFrame(frame_index=frame.frame_index, problem=fault.to_problem())
        if source.when_full == "wait":
            await self._wait_for_room()
        elif not await self._has_room():
            return DropFrame(frame_index=frame.frame_index, reason="overload")
        return await spool_frame(self._gateway.settings.data_dir, self._spec, frame)

    async def _wait_for_room(self) -> None:
        """Wait until fewer than `max_inflight_frames` pushed frames have no result; the client waits meanwhile."""
        pause_s, longest_s = _POLL_S
        while not await self._has_room():
            await self._touch()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, longest_s)

    async def _has_room(self) -> bool:
        """Say whether one more frame may wait for its result; a session that has ended says no to it itself."""
        limit = self._gateway.settings.max_inflight_frames
        if self._next_push - self._next_frame < limit:
            return True
        state = await self._gateway.store.read_state(PRINCIPAL, self._spec.session_id)
        self._next_frame = state.next_frame
        return state.is_ended or self._next_push - self._next_frame < limit


def _is_last(event: bytes) -> bool:
    return len(event) < _LONGEST_LAST_EVENT and json.loads(event).get("type") == "session.closed"


def _prompt_id_of(message: str | bytes) -> str | None:
    """Find the prompt id in a message that was refused, so that the client knows which prompt it was."""
    try:
        fields = json.loads(message)
    except ValueError:  # a frame
        return None
    prompt_id = fields.get("prompt_id") if isinstance(fields, dict) else None
    return prompt_id if isinstance(prompt_id, str) else None
