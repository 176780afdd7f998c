"""One session's websocket as an iterator over its events, which survives dropped connections.

After a drop the stream connects again (full-jitter back-off) and says in `hello` the last `seq` it has handed
out; the service replays from there, so the caller sees every event once and in order. Frames pushed and not
answered yet are sent again from where the service says it needs them.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from univs_service.client.backoff import Backoff
from univs_service.client.errors import (
    ClientError,
    ConnectionLostError,
    ProblemError,
    StreamClosedError,
    problem_of,
)
from univs_service.client.wire import SUBPROTOCOL, ServerMessage, read_message, write_frame
from univs_service.messages import (
    Ack,
    Configure,
    ErrorMessage,
    FrameDropped,
    FrameError,
    FrameResultEvent,
    Hello,
    InputEnd,
    Pong,
    Problem,
    PromptAdd,
    PromptIn,
    Ready,
    RunDone,
    SessionClosed,
    SessionFailed,
    StreamEvent,
    Tasks,
    Vocabulary,
)

MAX_MESSAGE_BYTES = 64 * 2**20
# Close codes after which coming back cannot help: the message, the caller or the session itself is refused.
_FINAL_CLOSE_CODES = frozenset({1003, 1007, 1008, 1009, 4400, 4401, 4403, 4404, 4409, 4410, 4413, 4422})
_RETRYABLE_STATUS = frozenset({408, 425, 429})


class EventStream:
    """Events of one session, each once and in order; made by `AsyncUniVSClient.stream`.

    Iterating ends after the `run.done` of the last run (or, with `until_closed`, after `session.closed`).

    Raises (from iterating):
        ProblemError: the session failed or is unknown, or the service refused a message; in the last case the
            stream stands and iterating can go on.
        ConnectionLostError: the service stayed away longer than `retry_for_s`.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        last_seq: int = 0,
        until_closed: bool = False,
        retry_for_s: float = 60.0,
        window: int = 32,
    ) -> None:
        self._url = url
        self._headers = dict(headers or {})
        self._until_closed = until_closed
        self._window = window
        self._backoff = Backoff(retry_for_s)
        self._last_seq = last_seq
        self._acknowledged = last_seq
        self._is_over = False
        self._connection: ClientConnection | None = None
        self._connecting = asyncio.Lock()
        self._ready: Ready | None = None
        self._gap_error: ClientError | None = None
        self._unanswered: dict[int, bytes] = {}  # pushed frames by index, oldest first
        self._is_input_ended = False

    @property
    def last_seq(self) -> int:
        """Number of the last event handed out; give it to a new stream to go on after it."""
        return self._last_seq

    @property
    def ready(self) -> Ready | None:
        """What the service said when the stream attached: weights, limits; None before that."""
        return self._ready

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        while not self._is_over:
            message = await self._receive()
            match message:
                case None | Ready() | Pong():
                    continue
                case ErrorMessage(problem=problem):
                    raise ProblemError(problem)
                case event if event.seq <= self._last_seq:
                    continue
                case event:
                    return await self._accept(event)
        await self.aclose()
        raise StopAsyncIteration

    async def push_frame(self, frame_index: int, image: NDArray[np.uint8] | bytes, pts: int | None = None) -> None:
        """Send a frame of a push session: uint8 [H, W, 3] RGB, or the bytes of a PNG, WebP or JPEG file.

        Args:
            frame_index: from 0, rising by one.
            image: at the size the session was made with.
            pts: in units of 1/90000 s; counted from the session's frame rate when left out.
        """
        message = write_frame(frame_index, image, pts)
        await self._connected()
        self._unanswered[frame_index] = message
        self._forget_oldest()
        await self._send(message)

    async def end_input(self) -> None:
        """Say that no more frames come; the run ends with the last one."""
        await self._connected()
        self._is_input_ended = True
        await self._send(InputEnd())

    async def add_prompt(self, prompt: PromptIn) -> None:
        """Add a prompt over this socket; `prompt.applied` says from which frame on it counts."""
        await self._connected()
        await self._send(PromptAdd(type="prompt.add", **prompt.model_dump(exclude_none=True)))

    async def configure(self, task: Tasks | None = None, vocabulary: Vocabulary | None = None) -> str:
        """Ask for other tasks over this socket, or for more categories; give the id that `config.applied` will bear."""
        wish = Configure(task=task, vocabulary=vocabulary, config_id=uuid4().hex)
        await self._connected()
        await self._send(wish)
        return str(wish.config_id)

    async def aclose(self) -> None:
        """Close the socket; the session goes on without it."""
        self._is_over = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def __aenter__(self) -> Self:
        await self._connected()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # --- receiving --------------------------------------------------------------------------------

    async def _receive(self) -> ServerMessage | None:
        while True:
            try:
                connection = await self._connected()
            except StreamClosedError:
                return None
            if self._gap_error is not None:
                gap_error, self._gap_error = self._gap_error, None
                raise gap_error
            try:
                return read_message(await connection.recv())
            except ConnectionClosed as error:
                self._drop(connection, error)

    async def _accept(self, event: StreamEvent) -> StreamEvent:
        self._last_seq = event.seq
        self._backoff.reset()
        match event:
            case FrameResultEvent() | FrameDropped() | FrameError():
                self._unanswered.pop(event.frame_index, None)
            case RunDone(reason=reason, is_followed=is_followed):
                self._is_over = reason != "superseded" and not is_followed and not self._until_closed
            case SessionClosed():
                self._is_over = True
            case SessionFailed(problem=problem):
                await self.aclose()
                raise ProblemError(problem)
            case _:
                pass
        if event.seq - self._acknowledged >= max(1, self._window // 2):
            self._acknowledged = event.seq
            await self._send(Ack(type="ack", seq=event.seq))
        return event

    # --- connecting -------------------------------------------------------------------------------

    async def _connected(self) -> ClientConnection:
        async with self._connecting:
            while self._connection is None:
                if self._is_over:
                    raise StreamClosedError(
                        "this stream is closed; open another one with stream(session, last_seq=...)"
                    )
                try:
                    self._connection = await self._connect()
                except InvalidStatus as error:
                    status = error.response.status_code
                    if status < 500 and status not in _RETRYABLE_STATUS:
                        raise ProblemError(problem_of(bytes(error.response.body or b""), status, self._url)) from error
                    await self._wait(error)
                except ProblemError as error:
                    if not error.is_retryable:
                        raise
                    await self._wait(error)
                except ConnectionClosed as error:
                    _raise_if_final(error)
                    await self._wait(error)
                except (OSError, TimeoutError, InvalidHandshake) as error:
                    await self._wait(error)
            return self._connection

    async def _connect(self) -> ClientConnection:
        connection = await connect(
            self._url,
            additional_headers=self._headers,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            max_size=MAX_MESSAGE_BYTES,
        )
        try:
            await self._shake_hands(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _shake_hands(self, connection: ClientConnection) -> None:
        hello = Hello(type="hello", last_seq=self._last_seq, window=self._window)
        await connection.send(hello.model_dump_json())
        answer = read_message(await connection.recv())
        if isinstance(answer, ErrorMessage):
            raise ProblemError(answer.problem)
        if not isinstance(answer, Ready):
            raise ClientError(f"expected `ready` as the first message of {self._url}, got {answer!r}")
        self._ready = answer
        self._acknowledged = self._last_seq
        if answer.gap is not None:
            self._gap_error = ClientError(
                f"events {answer.gap.from_seq} to {answer.gap.to_seq} can no longer be replayed; "
                "read them with results(), or go on iterating without them"
            )
        for frame_index, message in list(self._unanswered.items()):
            if frame_index >= answer.resend_from:
                await connection.send(message)
        if self._is_input_ended:
            await connection.send(InputEnd().model_dump_json())

    async def _wait(self, error: Exception) -> None:
        wait_s = self._backoff.next_wait_s()
        if wait_s is None:
            raise ConnectionLostError(
                f"the service at {self._url} stayed away too long ({error}); check that it runs, then "
                f"open a stream with last_seq={self._last_seq} to go on"
            ) from error
        await asyncio.sleep(wait_s)

    def _drop(self, connection: ClientConnection, error: ConnectionClosed) -> None:
        """Forget a closed connection, so that the next use connects again; raise where that cannot help."""
        if self._connection is connection:
            self._connection = None
        _raise_if_final(error)

    # --- sending ----------------------------------------------------------------------------------

    async def _send(self, message: BaseModel | bytes) -> None:
        """Send over the connection that stands; what a drop loses is made up for on the next one."""
        connection = self._connection
        if connection is None:
            return
        try:
            await connection.send(message if isinstance(message, bytes) else message.model_dump_json(exclude_none=True))
        except ConnectionClosed as error:
            self._drop(connection, error)

    def _forget_oldest(self) -> None:
        """Keep no more unanswered frames than the service takes at once: the older ones it has."""
        limit = self._ready.limits.max_inflight_frames if self._ready else 64
        while len(self._unanswered) > limit:
            del self._unanswered[next(iter(self._unanswered))]


def _raise_if_final(error: ConnectionClosed) -> None:
    close = error.rcvd
    if close is not None and close.code in _FINAL_CLOSE_CODES:
        raise ProblemError(
            Problem(
                type="about:blank",
                title="The service closed the stream",
                status=close.code - 4000 if close.code >= 4000 else 400,
                detail=close.reason or f"close code {close.code}",
                code="superseded" if close.code == 4409 else "closed_by_service",
            )
        ) from error
