"""`univs serve`: Valkey, one gateway and one worker on this machine, kept alive and stopped in order."""

import asyncio
import errno
import json
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import httpx
from pydantic import BaseModel

from univs_service.child_process import ChildProcess
from univs_service.embedded import EmbeddedValkey
from univs_service.messages import ModelInfo, WorkerInfo
from univs_service.settings import Settings

EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h: starting again with the same settings would not help

_QUICK_DEATH_S = 10.0
_MAX_QUICK_DEATHS = 5
_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 5.0
_STOP_TIMEOUT_S = 10.0
_READY_POLL_S = 0.05

logger = logging.getLogger(__name__)

# Threads of the model wait for each other by spinning. Gateway and clients run on the same cores, so they give up soon:
# spinning on, a step takes four times as long beside one busy process; never spinning, twice as long beside none.
_SHARING_CORES = {"GOMP_SPINCOUNT": "1000"}


class _Readiness(BaseModel):
    """What we read of the gateway's `/readyz`."""

    workers: list[WorkerInfo]

    @property
    def models(self) -> list[ModelInfo]:
        return [model for worker in self.workers if worker.is_ready for model in worker.models]


class SupervisorError(Exception):
    """The service cannot start or go on; the text says why and what to do."""


class PortInUseError(SupervisorError):
    """Somebody else listens on the port."""


class ChildGaveUpError(SupervisorError):
    """A child died too often, or cannot start with these settings."""


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket that every gateway process of this service inherits.

    It outlives a gateway that is restarted, so clients wait in its queue instead of being refused.

    Raises:
        PortInUseError: when the port is taken.
        SupervisorError: when the address cannot be listened on.
    """
    try:
        return socket.create_server((host, port), backlog=512, family=_family(host))
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"expected port {port} of {host} to be free, but something listens there already; "
                "stop it, or choose another with --port (0 picks a free one)"
            ) from error
        raise SupervisorError(
            f"expected to listen on {host}:{port}, got: {reason}; choose another --host or --port"
        ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def environment_of(settings: Settings) -> dict[str, str]:
    """Spell settings as the environment of a child, so that it reads the same ones."""
    values = settings.model_dump(mode="json", exclude_unset=True)
    return {
        f"UNIVS_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


class Supervisor:
    """Own the processes of one service on one machine."""

    def __init__(
        self,
        settings: Settings,
        *,
        announce: Callable[[str], None],
        forward: Callable[[str, str], None],
        log_format: str = "auto",
    ) -> None:
        """Take the settings; nothing is started yet.

        Args:
            settings: of all processes; an own Valkey is started when they name no `redis_url`.
            announce: called once with a block of text when the service is ready.
            forward: called with the name of a child and each line it writes.
            log_format: how the children write their logs.
        """
        self._settings = settings.model_copy(update={"data_dir": settings.data_dir.resolve()})
        self._announce = announce
        self._forward = forward
        self._log_format = log_format
        self._valkey: EmbeddedValkey | None = None
        self._stop = asyncio.Event()
        self._children: list[ChildProcess] = []

    async def run(self) -> None:
        """Start everything, keep it alive until SIGINT or SIGTERM, stop it in order.

        Raises:
            SupervisorError: when a child cannot be kept alive or the port is taken.
            EmbeddedValkeyError: when Valkey cannot be started.
        """
        started_s = time.monotonic()
        self._settings.data_dir.mkdir(parents=True, exist_ok=True)
        with listen(self._settings.host, self._settings.port) as server:
            self._stop_on_signals()
            try:
                environment = environment_of(self._settings) | {"UNIVS_REDIS_URL": self._start_valkey()}
                self._children = [
                    self._child("gateway", environment, "--listening-fd", str(server.fileno()), fd=server.fileno()),
                    self._child("worker", environment | _SHARING_CORES),
                ]
                await self._keep_all_alive(self._url(server), started_s)
            finally:
                if self._valkey is not None:
                    self._valkey.stop()
                logger.info("service stopped")

    def _start_valkey(self) -> str:
        if "redis_url" in self._settings.model_fields_set:
            return self._settings.redis_url
        self._valkey = EmbeddedValkey(self._settings.data_dir / "valkey")
        self._valkey.start()
        return self._valkey.url

    def _child(self, command: str, environment: dict[str, str], *arguments: str, fd: int | None = None) -> ChildProcess:
        return ChildProcess(
            command,
            [
                *(sys.executable, "-m", "univs_service.cli.main", command),
                *("--log-format", self._log_format, *arguments),
            ],
            environment=environment,
            forward=self._forward,
            kept_files=() if fd is None else (fd,),
        )

    async def _keep_all_alive(self, url: str, started_s: float) -> None:
        keepers = [asyncio.create_task(keep_alive(child, self._stop)) for child in self._children]
        if self._valkey is not None:
            keepers.append(asyncio.create_task(self._keep_valkey_alive(self._valkey)))
        ready = asyncio.create_task(self._announce_when_ready(url, started_s))
        stop = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait([*keepers, stop], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._stop.set()
            await self._stop_children()
            for task in (*keepers, ready, stop):
                task.cancel()
            await asyncio.gather(*keepers, ready, stop, return_exceptions=True)

    async def _keep_valkey_alive(self, valkey: EmbeddedValkey) -> None:
        delays = _Delays("valkey")
        while True:
            code = await asyncio.to_thread(valkey.wait)
            if self._stop.is_set():
                return
            await delays.pause(code, (f"see {valkey.log_path}",))
            valkey.stop()
            valkey.start()

    async def _announce_when_ready(self, url: str, started_s: float) -> None:
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            while True:
                with suppress(httpx.HTTPError):
                    response = await client.get(f"{url}/readyz")
                    if response.status_code == 200:
                        break
                await asyncio.sleep(_READY_POLL_S)
        seconds = time.monotonic() - started_s
        ready = _Readiness.model_validate_json(response.content)
        logger.info("service ready", extra={"url": url, "start_s": round(seconds, 2)})
        self._announce(ready_text(url, self._settings, ready.models, seconds))

    def _url(self, server: socket.socket) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._settings.host, self._settings.host)
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{server.getsockname()[1]}"

    def _stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if self._stop.is_set():  # asked twice: do not wait for anybody
                for child in self._children:
                    child.kill()
            self._stop.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop)

    async def _stop_children(self) -> None:
        for child in self._children:  # the gateway first: no new work; the worker then writes its snapshots
            started_s = time.monotonic()
            await child.stop(_STOP_TIMEOUT_S)
            seconds = round(time.monotonic() - started_s, 2)
            logger.info("child stopped", extra={"child": child.name, "stop_s": seconds})


async def keep_alive(child: ChildProcess, stop: asyncio.Event) -> None:
    """Run a child until `stop`, starting it again when it ends, after longer and longer pauses.

    Raises:
        ChildGaveUpError: after too many quick deaths in a row, or when its settings can never work.
    """
    delays = _Delays(child.name)
    while True:
        code = await child.run()
        if stop.is_set():
            return
        await delays.pause(code, child.last_lines)


class _Delays:
    """Count the quick deaths of one child."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._num_quick = 0
        self._started_s = time.monotonic()

    async def pause(self, code: int, last_lines: tuple[str, ...]) -> None:
        """Wait before the next start; give up when there is no point in one."""
        lived_s = time.monotonic() - self._started_s
        self._num_quick = self._num_quick + 1 if lived_s < _QUICK_DEATH_S else 1
        logger.warning("child ended", extra={"child": self._name, "code": code, "lived_s": round(lived_s, 2)})
        if code == EXIT_CONFIGURATION or self._num_quick >= _MAX_QUICK_DEATHS:
            often = "" if code == EXIT_CONFIGURATION else f" {self._num_quick} times in a row, each"
            raise ChildGaveUpError(
                f"expected the {self._name} to stay alive, but it ended{often} with code {code} "
                f"after {lived_s:.1f} s; its last lines:\n" + "\n".join(f"  {line}" for line in last_lines)
            )
        await asyncio.sleep(min(_FIRST_DELAY_S * 2 ** (self._num_quick - 1), _LONGEST_DELAY_S))
        self._started_s = time.monotonic()


def ready_text(url: str, settings: Settings, models: Sequence[ModelInfo], seconds: float) -> str:
    """Write the block that tells a person where the service is and what answers there."""
    lines = [f"UniVS is ready after {seconds:.1f} s: {url}", f"  API docs  {url}/docs"]
    for model in models:
        state = "trained" if model.weights.is_trained else "untrained: every mask is random"
        lines.append(f"  weights   {model.name} ({state})")
        if model.weights.note:
            lines.append(f"            {model.weights.note}")
    lines += [f"  data      {settings.data_dir}", "  stop      Ctrl-C"]
    return "\n".join(lines)
