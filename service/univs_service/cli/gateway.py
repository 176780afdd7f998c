"""`univs gateway`: the HTTP and websocket face of the service, one process."""

from typing import Annotated

import typer

from univs_service.cli.options import overridden
from univs_service.log_format import LogFormat


def gateway(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.", show_default="8000")] = None,
    listening_fd: Annotated[
        int | None, typer.Option(hidden=True, help="Descriptor of a socket that listens already.")
    ] = None,
    log_format: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.AUTO,
) -> None:
    """Run one gateway against UNIVS_REDIS_URL; it needs no torch."""
    import asyncio
    import socket

    import uvicorn

    from univs_service.gateway.app import create_app
    from univs_service.logs import configure_logs

    settings = overridden(host=host, port=port)
    configure_logs("gateway", settings.log_level, log_format)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.host,
            port=settings.port,
            ws="websockets-sansio",
            ws_max_size=settings.max_pushed_frame_bytes,
            timeout_graceful_shutdown=5,
            log_config=None,
            access_log=False,
        )
    )
    if listening_fd is None:
        asyncio.run(server.serve())
    else:
        with socket.socket(fileno=listening_fd) as listening:
            asyncio.run(server.serve(sockets=[listening]))
