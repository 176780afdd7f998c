"""The gateway as an ASGI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from univs_service.gateway import exports, health, janitor, results, sessions, stream, videos
from univs_service.gateway.instrument import CountRequests, GuardOrigin
from univs_service.gateway.openapi import add_schemas
from univs_service.gateway.problems import add_problem_handlers
from univs_service.gateway.state import make_gateway
from univs_service.gateway.studio import add_studio
from univs_service.settings import Settings

_DESCRIPTION = """Segment what you point at, through a whole video.

Upload a video, start a session with prompts (points, boxes, masks, ...), and read one result per frame: over the
websocket `GET /v1/sessions/{id}/stream`, as NDJSON from `.../results`, or as a file for another tool from
`.../exports/{format}`. Coordinates are pixels of the displayed
frame, origin top left; frames count from 0 in the order they are shown. Every failure is application/problem+json.
"""


def create_app(settings: Settings) -> FastAPI:
    """Make the application; it connects to Redis when it is first asked for something."""
    gateway = make_gateway(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stop = asyncio.Event()
        tidying = asyncio.create_task(janitor.tidy(gateway, stop))
        try:
            yield
        finally:
            stop.set()
            await tidying
            await gateway.exporter.close()
            await gateway.media.close()
            await gateway.store.close()

    app = FastAPI(title="UniVS", version=_version(), description=_DESCRIPTION, lifespan=lifespan)
    app.state.gateway = gateway
    for routes in (videos, sessions, results, exports, stream, health):
        app.include_router(routes.router)
    add_problem_handlers(app)
    add_schemas(app)
    add_studio(app)
    app.add_middleware(GuardOrigin, gateway=gateway)
    app.add_middleware(CountRequests, gateway=gateway)
    return app


def _version() -> str:
    try:
        return version("univs")
    except PackageNotFoundError:  # run from a tree that is not installed
        return "0"
