"""Start and end the child that reads uploaded files (`media_child.py`), and read how it failed.

The child may use so much memory and time and no more, opens no other file and no network, and may crash: whatever a
hostile file does to the decoder, the gateway goes on.
"""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import Process
from contextlib import suppress

from univs_service.errors import (
    DamagedVideoError,
    FrameSizeError,
    InputUnavailableError,
    NoFramesError,
    NotAVideoError,
    ServiceError,
    UnknownFrameError,
)
from univs_service.media_child import REMEDY
from univs_service.settings import Settings

_ERRORS: dict[str, type[ServiceError]] = {
    error.code: error
    for error in (
        DamagedVideoError,
        FrameSizeError,
        InputUnavailableError,
        NoFramesError,
        NotAVideoError,
        UnknownFrameError,
    )
}


async def start_child(settings: Settings, cpu_s: float, *arguments: str) -> Process:
    """Start the child; it is killed when it uses more processor time, and gets no more memory than the settings say."""
    limits = (str(settings.probe_memory_bytes), str(round(cpu_s)))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "univs_service.media_child", *limits, *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def end_child(child: Process) -> None:
    """End the child if it still runs, and let go of its pipes."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
    await child.communicate()


def too_slow(settings: Settings) -> ServiceError:
    """Give the error for a child that did not answer in time."""
    return DamagedVideoError(
        f"expected a video that can be read within {settings.probe_timeout_s} s, but it took longer; {REMEDY}"
    )


def error_of(return_code: int, complaint: bytes) -> ServiceError:
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
