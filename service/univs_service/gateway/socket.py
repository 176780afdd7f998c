"""One websocket: accepted with our subprotocol, sends in order, and never closes without having said why."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from pydantic import BaseModel
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from univs_service.errors import (
    ForbiddenOriginError,
    FrameOutOfOrderError,
    InternalError,
    ServiceError,
    StoreUnavailableError,
)
from univs_service.gateway.state import Gateway
from univs_service.messages import ErrorMessage

SUBPROTOCOL = "univs.v1+json"
_CLOSE_CODES: dict[type[ServiceError], int] = {  # all others: 4000 + the HTTP status
    ForbiddenOriginError: 1008,
    InternalError: 1011,
    StoreUnavailableError: 1013,
    FrameOutOfOrderError: 4400,
}
_FAREWELL_S = 5.0


class Socket:
    """Send and receive on one websocket; each of them may be waited for by one task."""

    def __init__(self, websocket: WebSocket, gateway: Gateway) -> None:
        self._websocket = websocket
        self._metrics = gateway.metrics
        self._allowed_origins = gateway.settings.allowed_origins
        self._sending = asyncio.Lock()

    async def accept(self) -> None:
        """Open the connection.

        Raises:
            ForbiddenOriginError: when a page of another origin asks.
        """
        offered = self._websocket.scope.get("subprotocols", [])
        await self._websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        check_origin(self._websocket.headers.get("origin"), self._websocket.headers.get("host"), self._allowed_origins)

    async def receive(self) -> str | bytes:
        """Wait for a message of the client.

        Raises:
            WebSocketDisconnect: when the client has gone.
        """
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))
        text: str | None = message.get("text")
        return text if text is not None else bytes(message["bytes"])

    async def send(self, message: BaseModel) -> None:
        """Send a message of this connection."""
        await self._send_text(message.model_dump_json())

    async def send_event(self, event: bytes) -> None:
        """Send an event as it was published."""
        await self._send_text(event.decode())
        self._metrics.socket_events.inc()
        self._metrics.socket_event_bytes.inc(len(event))

    async def send_error(self, error: ServiceError, prompt_id: str | None = None) -> None:
        """Send a problem; the connection goes on."""
        problem = error.to_problem(self._websocket.url.path)
        await self.send(ErrorMessage(problem=problem, prompt_id=prompt_id))

    async def fail(self, error: ServiceError) -> None:
        """Send a problem, then close with its code; a client that reads nothing is not waited for."""
        with suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(_FAREWELL_S):
                await self.send_error(error)
                await self.close(_CLOSE_CODES.get(type(error), 4000 + error.status), error.title)

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; nothing happens when it is closed already."""
        if self._websocket.application_state is WebSocketState.CONNECTED:
            self._metrics.socket_closes.labels(code).inc()
            await self._websocket.close(code, reason)

    async def _send_text(self, text: str) -> None:
        async with self._sending:
            await self._websocket.send_text(text)


def check_origin(origin: str | None, host: str | None, allowed: tuple[str, ...]) -> None:
    """Refuse pages of other origins: a browser sends a user's requests wherever a page asks it to.

    Raises:
        ForbiddenOriginError: unless there is no origin, it is our own, or it is allowed.
    """
    if origin is not None and urlsplit(origin).netloc != host and origin not in allowed:
        raise ForbiddenOriginError(
            f"expected a page of {host} or of an origin in UNIVS_ALLOWED_ORIGINS, got {origin}; add it there"
        )
