"""Middleware, pure ASGI: count requests, and keep pages of other origins from acting for a user."""

import time

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from univs_service.errors import ForbiddenOriginError
from univs_service.gateway.problems import problem_response
from univs_service.gateway.socket import check_origin
from univs_service.gateway.state import Gateway

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class CountRequests:
    """Count and time every HTTP request, by the pattern of its route."""

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self._app = app
        self._metrics = gateway.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin_s = time.perf_counter()
        status = 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            route, method = _route_of(scope), scope["method"]
            self._metrics.http_requests.labels(method, route, status).inc()
            self._metrics.http_request_seconds.labels(method, route).observe(time.perf_counter() - begin_s)


class GuardOrigin:
    """Refuse requests that change something when a page of another origin sends them."""

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self._app = app
        self._allowed = gateway.settings.allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with a problem."""
        if scope["type"] == "http" and scope["method"] not in _READING:
            request = Request(scope)
            try:
                check_origin(request.headers.get("origin"), request.headers.get("host"), self._allowed)
            except ForbiddenOriginError as error:
                await problem_response(error, request.url.path)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _route_of(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "unmatched"))
