"""`univs serve`: the whole service on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from univs_service.cli.options import overridden
from univs_service.log_format import LogFormat


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.", show_default="8000")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Uploads, results and state.", show_default="univs-data")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Weights to serve.", show_default="nano")] = None,
    threads: Annotated[
        int | None, typer.Option(min=0, help="CPU threads of the model; 0: torch decides.", show_default="0")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...", show_default="cpu")] = None,
    log_format: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.AUTO,
) -> None:
    """Start Valkey, the gateway and a worker; keep them alive; stop them on Ctrl-C.

    Every option is also a setting (UNIVS_PORT, ...). With UNIVS_REDIS_URL set, that server is used and no
    Valkey is started.
    """
    import asyncio
    import sys

    from univs_service.embedded import EmbeddedValkeyError
    from univs_service.logs import configure_logs
    from univs_service.supervisor import Supervisor, SupervisorError

    settings = overridden(host=host, port=port, data_dir=data_dir, model=model, threads=threads, device=device)
    if log_format is LogFormat.AUTO and sys.stderr.isatty():
        log_format = LogFormat.CONSOLE  # the children write into pipes of ours
    configure_logs("serve", settings.log_level, log_format)

    def forward(name: str, line: str) -> None:
        prefix = f"{name:>7} | " if log_format is LogFormat.CONSOLE else ""
        print(f"{prefix}{line}", file=sys.stderr, flush=True)

    def announce(text: str) -> None:
        print(text, flush=True)

    supervisor = Supervisor(settings, announce=announce, forward=forward, log_format=log_format)
    try:
        asyncio.run(supervisor.run())
    except (SupervisorError, EmbeddedValkeyError) as error:
        typer.secho(f"univs serve: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(1) from error
