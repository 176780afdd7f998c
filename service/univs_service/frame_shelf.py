"""Frames of stored videos as JPEG, read ahead of their viewers.

Frames are asked for one by one but nearly always in order. A child process stands by at the place in the video where
the last frame was read: the next one costs its decoding and no start of a process. What was read lately is kept.
"""

import asyncio
from asyncio.subprocess import Process
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from univs_service.errors import UnknownFrameError
from univs_service.media_process import end_child, error_of, start_child, too_slow
from univs_service.settings import Settings

_MOST_BYTES = 64 * 2**20
_LEAD = 12  # frames before the one asked for that are read too: requests overtake each other, viewers step back
_REACH = 64  # a child this far behind is read forward; beyond, a new one skips faster
_IDLE_S = 15.0
_MOST_REQUESTS = 60  # of the longest kind, before a child is replaced


@dataclass(slots=True)
class _Reader:
    """A child that gives the frames of one video from `next_index` on."""

    child: Process
    next_index: int
    is_busy: bool = False
    idle_timer: asyncio.TimerHandle | None = None


class FrameShelf:
    """Give frames by index; at most `max_probes` children stand by."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jpegs: OrderedDict[tuple[Path, int], bytes] = OrderedDict()
        self._num_bytes = 0
        self._readers: OrderedDict[Path, _Reader] = OrderedDict()  # the first one rests longest
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()  # one decodes, others wait
        self._slots = asyncio.Semaphore(settings.max_probes)
        self._endings: set[asyncio.Task[None]] = set()

    async def read(self, path: Path, frame_index: int) -> bytes:
        """Read one displayed frame.

        Raises:
            UnknownFrameError: when the video is shorter.
            DamagedVideoError: when it cannot be decoded so far, or not in time.
        """
        if jpeg := self._find(path, frame_index):
            return jpeg
        async with self._locks.setdefault(path, asyncio.Lock()):
            if jpeg := self._find(path, frame_index):
                return jpeg
            async with self._slots:
                return await self._decode(path, frame_index)

    async def close(self) -> None:
        """End every child."""
        for path in list(self._readers):
            self._dismiss(path)
        await asyncio.gather(*self._endings)

    # --- decoding ------------------------------------------------------------------------------------------------

    async def _decode(self, path: Path, frame_index: int) -> bytes:
        reader = self._readers.get(path)
        if reader is None or not reader.next_index <= frame_index < reader.next_index + _REACH:
            reader = await self._start(path, max(0, frame_index - _LEAD))
        self._readers.move_to_end(path)
        reader.is_busy = True
        try:
            async with asyncio.timeout(self._settings.probe_timeout_s):
                while reader.next_index <= frame_index:
                    jpeg = await self._next_jpeg(reader, frame_index)
                    self._keep(path, reader.next_index, jpeg)
                    reader.next_index += 1
        except TimeoutError:
            self._dismiss(path)
            raise too_slow(self._settings) from None
        except BaseException:
            self._dismiss(path)
            raise
        self._rest(path, reader)
        return jpeg

    async def _start(self, path: Path, first_index: int) -> _Reader:
        self._dismiss(path)
        idle = [other for other, reader in self._readers.items() if not reader.is_busy]
        if idle and len(self._readers) >= self._settings.max_probes:
            self._dismiss(idle[0])
        # It may live as long as its viewer; what one request may take is bounded by the timeout of `_decode`.
        cpu_s = _MOST_REQUESTS * self._settings.probe_timeout_s
        child = await start_child(self._settings, cpu_s, "frames", str(path), str(first_index))
        reader = _Reader(child, first_index)
        self._readers[path] = reader
        return reader

    async def _next_jpeg(self, reader: _Reader, frame_index: int) -> bytes:
        assert reader.child.stdout is not None
        try:
            length = int.from_bytes(await reader.child.stdout.readexactly(4), "big")
            return await reader.child.stdout.readexactly(length)
        except asyncio.IncompleteReadError:
            _, complaint = await reader.child.communicate()
            if reader.child.returncode:
                raise error_of(reader.child.returncode, complaint) from None
            raise UnknownFrameError(
                f"expected a frame from 0 to {reader.next_index - 1}, got {frame_index}; "
                "the rest of the video cannot be decoded"
            ) from None

    def _rest(self, path: Path, reader: _Reader) -> None:
        reader.is_busy = False
        if reader.idle_timer is not None:
            reader.idle_timer.cancel()
        reader.idle_timer = asyncio.get_running_loop().call_later(_IDLE_S, self._dismiss_idle, path, reader)

    def _dismiss_idle(self, path: Path, reader: _Reader) -> None:
        if self._readers.get(path) is reader and not reader.is_busy:
            self._dismiss(path)

    def _dismiss(self, path: Path) -> None:
        reader = self._readers.pop(path, None)
        if reader is None:
            return
        if reader.idle_timer is not None:
            reader.idle_timer.cancel()
        ending = asyncio.get_running_loop().create_task(end_child(reader.child))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    # --- what was read lately ------------------------------------------------------------------------------------

    def _find(self, path: Path, frame_index: int) -> bytes | None:
        jpeg = self._jpegs.get((path, frame_index))
        if jpeg is not None:
            self._jpegs.move_to_end((path, frame_index))
        return jpeg

    def _keep(self, path: Path, frame_index: int, jpeg: bytes) -> None:
        self._num_bytes += len(jpeg) - len(self._jpegs.pop((path, frame_index), b""))
        self._jpegs[path, frame_index] = jpeg
        while self._num_bytes > _MOST_BYTES and len(self._jpegs) > 1:
            _, oldest = self._jpegs.popitem(last=False)
            self._num_bytes -= len(oldest)
