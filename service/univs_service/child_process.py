"""One child of the supervisor: started bound to us, its output forwarded, stopped in order."""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from univs_service.bound_process import bound_command

_KEPT_LINES = 20
_LAST_OUTPUT_TIMEOUT_S = 1.0  # a grandchild may hold the pipe open for longer than its parent lives


class ChildProcess:
    """Run one command at a time; it cannot outlive us, and its last lines are kept."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        forward: Callable[[str, str], None],
        kept_files: Sequence[int] = (),
    ) -> None:
        """Describe the child; nothing is started yet.

        Args:
            name: for people.
            command: program and arguments.
            environment: added to our own.
            forward: called with the name and each line of output.
            kept_files: descriptors that the child inherits.
        """
        self.name = name
        self._command = list(command)
        self._environment = dict(environment)
        self._forward = forward
        self._kept_files = tuple(kept_files)
        self._process: asyncio.subprocess.Process | None = None
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """What the child wrote last."""
        return tuple(self._lines)

    async def run(self) -> int:
        """Run the command once, from start to end; give its exit code (minus the signal's number if killed).

        Call it from a loop in the main thread: the child is killed when the thread that started it ends.
        """
        self._process = await asyncio.create_subprocess_exec(
            *bound_command(self._command, signal.SIGKILL),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self._environment},
            pass_fds=self._kept_files,
            start_new_session=True,  # a Ctrl-C in the terminal is for us; we stop our children in order
        )
        assert self._process.stdout is not None
        reader = asyncio.create_task(self._forward_lines(self._process.stdout))
        try:
            code = await self._process.wait()
            await asyncio.wait({reader}, timeout=_LAST_OUTPUT_TIMEOUT_S)
        finally:
            reader.cancel()
        return code

    async def stop(self, timeout_s: float) -> None:
        """Ask the child to end, insist after `timeout_s`; harmless when none is running."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """End the child at once."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _forward_lines(self, output: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await output.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take_line(line)
        if rest:
            self._take_line(rest)

    def _take_line(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self._lines.append(text)
        self._forward(self.name, text)
