"""Look into an uploaded file: what it holds, and its frames as JPEG. In child processes with limits of their own."""

import asyncio
import json
from asyncio.subprocess import Process
from pathlib import Path

from univs_service.errors import InputUnavailableError
from univs_service.frame_shelf import FrameShelf
from univs_service.media_child import MediaInfo
from univs_service.media_process import end_child, error_of, start_child, too_slow
from univs_service.rtsp_child import CameraInfo
from univs_service.rtsp_process import camera_command, camera_greeting, find_camera
from univs_service.settings import Settings


async def _ask(child: Process, question: bytes) -> tuple[bytes, bytes]:
    """Say something to a child that goes on listening, and wait for it to end."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdin.write(question)
    answer, complaint = await asyncio.gather(child.stdout.read(), child.stderr.read())
    await child.wait()
    return answer, complaint


class MediaReader:
    """Run the child for the gateway: at most `max_probes` at a time, each under the limits of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.max_probes)
        self._frames = FrameShelf(settings)

    async def probe(self, path: Path) -> MediaInfo:
        """Read what a video file holds.

        Raises:
            NotAVideoError, NoFramesError, DamagedVideoError, FrameSizeError
        """
        async with self._slots:
            timeout_s = self._settings.probe_timeout_s
            child = await start_child(
                self._settings, timeout_s, "probe", str(path), str(self._settings.max_frame_pixels)
            )
            try:
                async with asyncio.timeout(timeout_s):
                    answer, complaint = await child.communicate()
            except TimeoutError:
                raise too_slow(self._settings) from None
            finally:
                await end_child(child)
        if child.returncode == 0:
            return MediaInfo(**json.loads(answer))
        raise error_of(child.returncode or 1, complaint)

    async def probe_camera(self, url: str) -> CameraInfo:
        """Ask a camera for its first frame.

        Raises:
            ForbiddenInputError: when it may not be connected to.
            InputUnavailableError: when it gives no frame in time.
        """
        async with self._slots:
            timeout_s = self._settings.probe_timeout_s
            connection = await asyncio.to_thread(find_camera, url, self._settings)
            child = await asyncio.create_subprocess_exec(
                *camera_command(self._settings, (0, 0)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                async with asyncio.timeout(timeout_s):
                    answer, complaint = await _ask(child, camera_greeting(connection))
            except TimeoutError:
                raise InputUnavailableError(
                    f"expected a frame of the camera within {timeout_s:g} s, got none; check its address and its state"
                ) from None
            finally:
                await end_child(child)
        if child.returncode == 0 and answer:
            return CameraInfo(**json.loads(answer))
        raise error_of(child.returncode or 1, complaint)

    async def frame(self, path: Path, frame_index: int) -> bytes:
        """Read one displayed frame as a JPEG file.

        Raises:
            UnknownFrameError: when the video is shorter.
            DamagedVideoError: when it cannot be decoded so far.
        """
        return await self._frames.read(path, frame_index)

    async def close(self) -> None:
        """End the children that stand by for the next frame."""
        await self._frames.close()
