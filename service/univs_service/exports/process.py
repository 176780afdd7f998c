"""Make exports in child processes (`child.py`), at most so many at a time, and say how one failed."""

import asyncio
import logging
import os
import shutil
import signal
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

from univs_service.bound_process import bound_command
from univs_service.errors import (
    DamagedVideoError,
    InternalError,
    NoResultsError,
    NotExportableError,
    ServiceError,
    StorageFullError,
)
from univs_service.exports.order import (
    EXIT_DISK,
    EXIT_NO_RESULTS,
    EXIT_REFUSED,
    EXIT_VIDEO,
    ExportOrder,
    Limits,
)
from univs_service.settings import Settings

_ERRORS: dict[int, type[ServiceError]] = {
    EXIT_NO_RESULTS: NoResultsError,
    EXIT_REFUSED: NotExportableError,
    EXIT_VIDEO: DamagedVideoError,
    EXIT_DISK: StorageFullError,
}
_KEPT_BYTES = 65536  # of what a child complains about
_KEPT_FAILURES = 64
_logger = logging.getLogger(__name__)
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # more would only reserve memory


class Exporter:
    """Make exports; the same one asked for twice at a time is made once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.max_exports)
        self._tasks: dict[Path, asyncio.Task[None]] = {}

    async def make(self, order: ExportOrder, wait_s: float) -> bool:
        """Make an export, or go on waiting for it.

        Args:
            order: whose target names it, beginning with its kind and a hyphen; older ones of that kind are deleted.
            wait_s: at most this long; the export goes on without the caller.
        Returns:
            Whether the target is there.
        Raises:
            NoResultsError, NotExportableError, DamagedVideoError, StorageFullError
        """
        task = self._tasks.get(order.target)
        if task is None:
            if await asyncio.to_thread(order.target.exists):
                return True
            task = self._tasks.get(order.target) or self._begin(order)
        await asyncio.wait({task}, timeout=wait_s)
        if not task.done():
            return False
        self._tasks.pop(order.target, None)
        await task
        return True

    async def close(self) -> None:
        """End every child."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, order: ExportOrder) -> asyncio.Task[None]:
        failed = [target for target, task in self._tasks.items() if task.done()]
        for target in failed[:-_KEPT_FAILURES]:  # nobody came back for them
            del self._tasks[target]
        task = asyncio.create_task(self._run(order))
        self._tasks[order.target] = task
        task.add_done_callback(partial(self._settle, order.target))
        return task

    def _settle(self, target: Path, task: asyncio.Task[None]) -> None:
        """Forget what succeeded; a failure stays until its client has asked again."""
        if task.cancelled() or task.exception() is None:
            self._tasks.pop(target, None)

    async def _run(self, order: ExportOrder) -> None:
        """Let a child write into a folder of its own, whatever it leaves behind, and keep what is complete."""
        work = order.target.with_name(f".work-{uuid4().hex}")
        async with self._slots:
            try:
                work.mkdir(parents=True)
                made = work / order.target.name
                await self._run_child(order.model_copy(update={"target": made}))
                for older in order.target.parent.glob(f"{order.kind.value}-*"):
                    older.unlink(missing_ok=True)
                made.replace(order.target)
            finally:
                await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    async def _run_child(self, order: ExportOrder) -> None:
        child = await self._start(order)
        try:
            async with asyncio.timeout(self._settings.export_timeout_s):
                complaint = await self._finish(child)
        except TimeoutError:
            raise NotExportableError(
                f"expected an export that is made within {self._settings.export_timeout_s} s, but it took longer; "
                "raise UNIVS_EXPORT_TIMEOUT_S, or convert the file that format json gives"
            ) from None
        finally:
            await _end(child)
        if child.returncode:
            _logger.warning(
                "export failed",
                extra={
                    "format": order.kind.value,
                    "status": child.returncode,
                    "detail": complaint.decode(errors="replace"),
                },
            )
            raise _error_of(child.returncode, complaint)
        _logger.info("export made", extra={"format": order.kind.value, "last_seq": order.last_seq})

    async def _start(self, order: ExportOrder) -> Process:
        limits = Limits(
            memory_bytes=self._settings.probe_memory_bytes,
            cpu_s=round(self._settings.export_timeout_s),
            file_bytes=self._settings.max_export_bytes,
        )
        command = [sys.executable, "-m", "univs_service.exports.child"]
        command += [limits.model_dump_json(), order.model_dump_json()]
        return await asyncio.create_subprocess_exec(
            *bound_command(command, signal.SIGKILL),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **_ONE_THREAD},
        )

    async def _finish(self, child: Process) -> bytes:
        assert child.stderr is not None
        complaint = b""
        while block := await child.stderr.read(_KEPT_BYTES):
            complaint = (complaint + block)[-_KEPT_BYTES:]
        await child.wait()
        return complaint


async def _end(child: Process) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
    await child.wait()


def _error_of(return_code: int, complaint: bytes) -> ServiceError:
    """Turn how a child ended into an error: its own words, or how it died."""
    words = complaint.decode(errors="replace").strip().splitlines()[-1:]
    if return_code in _ERRORS and words:
        return _ERRORS[return_code](words[0])
    if return_code == -signal.SIGXFSZ:
        return StorageFullError("expected an export below UNIVS_MAX_EXPORT_BYTES, but it grew larger; raise the limit")
    how = signal.Signals(-return_code).name if return_code < 0 else f"exit {return_code}: {' '.join(words)}"
    return InternalError(f"expected the export to be made, but its process stopped ({how}); try again, see the log")
