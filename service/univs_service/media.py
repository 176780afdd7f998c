"""Look into an uploaded file: what it holds, and one frame as JPEG. In a child process with limits of its own.

The child (`media_child.py`) may use so much memory and time and no more, opens no other file and no network, and
may crash: whatever a hostile file does to the decoder, the gateway goes on.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from univs_service.errors import (
    DamagedVideoError,
    FrameSizeError,
    NoFramesError,
    NotAVideoError,
    ServiceError,
    UnknownFrameError,
)
from univs_service.media_child import REMEDY, MediaInfo
from univs_service.settings import Settings

_ERRORS: dict[str, type[ServiceError]] = {
    error.code: error for error in (DamagedVideoError, FrameSizeError, NoFramesError, NotAVideoError, UnknownFrameError)
}


class MediaReader:
    """Run the child for the gateway: at most `max_probes` at a time, each under the limits of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.max_probes)

    async def probe(self, path: Path) -> MediaInfo:
        """Read what a video file holds.

        Raises:
            NotAVideoError, NoFramesError, DamagedVideoError, FrameSizeError
        """
        answer = await self._run("probe", str(path), str(self._settings.max_frame_pixels))
        return MediaInfo(**json.loads(answer))

    async def frame(self, path: Path, frame_index: int) -> bytes:
        """Read one displayed frame as a JPEG file.

        Raises:
            UnknownFrameError: when the video is shorter.
            DamagedVideoError: when it cannot be decoded so far.
        """
        return await self._run("frame", str(path), str(frame_index))

    async def _run(self, *arguments: str) -> bytes:
        limits = (str(self._settings.probe_memory_bytes), str(round(self._settings.probe_timeout_s)))
        async with self._slots:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "univs_service.media_child", *limits, *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                async with asyncio.timeout(self._settings.probe_timeout_s):
                    answer, complaint = await child.communicate()
            except TimeoutError:
                raise DamagedVideoError(
                    f"expected a video that can be read within {self._settings.probe_timeout_s} s, "
                    f"but it took longer; {REMEDY}"
                ) from None
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        if child.returncode == 0:
            return answer
        raise _error_of(child.returncode or 1, complaint)


def _error_of(return_code: int, complaint: bytes) -> ServiceError:
    """Turn what a failed child left into an error: its own words, or how it died."""
    last_line = complaint.decode(errors="replace").strip().splitlines()[-1:]
    try:
        code, detail = json.loads(last_line[0])
        return _ERRORS[code](detail)
    except (IndexError, KeyError, TypeError, ValueError):
        how = signal.Signals(-return_code).name if return_code < 0 else f"exit {return_code}"
        return DamagedVideoError(
            f"expected a video that can be decoded within the limits, but the decoder stopped ({how}); " + REMEDY
        )
