"""The web page at `/`: static files, with headers that keep it to scripts and data of its own origin."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

# Nothing is loaded from elsewhere and no script stands in the page. 'self' covers the websocket of the same origin.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # kept, but asked about with its ETag: a new version shows at once
}


class StudioFiles(StaticFiles):
    """The page's own files; every answer carries the headers above."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                extra = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *(h for h in extra if h[0] not in names)]}
            await send(message)

        await super().__call__(scope, receive, send_with_headers)


def add_studio(app: FastAPI) -> None:
    """Serve the page at `/` and its files under `/studio/`."""
    folder = studio_folder()
    app.mount("/studio", StudioFiles(directory=folder), name="studio")

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(folder / "index.html", headers=_HEADERS)


def studio_folder() -> Path:
    """Give the folder of the page's files."""
    return Path(str(files("univs_service"))) / "studio"
