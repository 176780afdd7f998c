"""`univs worker`: runs the network for the sessions it claims, one process."""

from typing import Annotated

import typer

from univs_service.cli.options import overridden
from univs_service.log_format import LogFormat


def worker(
    model: Annotated[str | None, typer.Option(help="Weights to serve.", show_default="nano")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...", show_default="cpu")] = None,
    threads: Annotated[
        int | None, typer.Option(min=0, help="CPU threads of the model; 0: torch decides.", show_default="0")
    ] = None,
    log_format: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.AUTO,
) -> None:
    """Run one worker against UNIVS_REDIS_URL; it shares the data folder with the gateway."""
    import logging
    import os

    from univs_service.logs import configure_logs
    from univs_service.worker.main import run_worker

    settings = overridden(model=model, device=device, threads=threads)
    configure_logs("worker", settings.log_level, log_format)
    code = run_worker(settings)
    logging.shutdown()
    os._exit(code)  # everything is stored and closed; taking torch apart would last for seconds
