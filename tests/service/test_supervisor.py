"""The supervisor starts dead children again, gives up when that is pointless, and says why."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from univs_service.child_process import ChildProcess
from univs_service.settings import Settings
from univs_service.supervisor import (
    EXIT_CONFIGURATION,
    ChildGaveUpError,
    PortInUseError,
    SupervisorError,
    environment_of,
    keep_alive,
    listen,
)


def child(program: str, lines: "asyncio.Queue[str]") -> ChildProcess:
    return ChildProcess(
        "child",
        [sys.executable, "-c", program],
        environment={"GREETING": "hello"},
        forward=lambda _, line: lines.put_nowait(line),
    )


async def test_a_killed_child_is_started_again() -> None:
    lines: asyncio.Queue[str] = asyncio.Queue()
    stop = asyncio.Event()
    kept = child("import os, time; print(os.getpid(), flush=True); time.sleep(60)", lines)
    keeper = asyncio.create_task(keep_alive(kept, stop))
    first = int(await lines.get())
    os.kill(first, signal.SIGKILL)
    second = int(await lines.get())
    assert second != first
    stop.set()
    await kept.stop(10.0)
    await keeper
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


async def test_quick_deaths_are_not_repeated_for_ever() -> None:
    lines: asyncio.Queue[str] = asyncio.Queue()
    dying = child("import os; print(os.environ['GREETING']); raise SystemExit(3)", lines)
    with pytest.raises(ChildGaveUpError, match="5 times in a row, each with code 3") as caught:
        await keep_alive(dying, asyncio.Event())
    assert "hello" in str(caught.value)
    assert lines.qsize() == 5


async def test_wrong_settings_are_not_tried_again() -> None:
    lines: asyncio.Queue[str] = asyncio.Queue()
    wrong = child(f"print('no such weights'); raise SystemExit({EXIT_CONFIGURATION})", lines)
    with pytest.raises(ChildGaveUpError, match="no such weights"):
        await keep_alive(wrong, asyncio.Event())
    assert lines.qsize() == 1


async def test_a_child_that_will_not_stop_is_killed() -> None:
    lines: asyncio.Queue[str] = asyncio.Queue()
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    deaf = child(program, lines)
    running = asyncio.create_task(deaf.run())
    await lines.get()
    await deaf.stop(0.05)
    assert await running == -signal.SIGKILL


async def test_long_and_unfinished_lines_are_forwarded_whole() -> None:
    lines: asyncio.Queue[str] = asyncio.Queue()
    await child("print('x' * 300_000); print('end', end='')", lines).run()
    assert (await lines.get(), await lines.get()) == ("x" * 300_000, "end")


def test_a_taken_port_is_refused_with_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} .* --port"):
            listen("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(SupervisorError, match="--host"):
        listen("192.0.2.1", 0)


def test_children_read_the_settings_of_their_parent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, threads=2, model="tiny", allowed_origins=("http://a", "http://b"))
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
