"""How the camera's child process (`rtsp_child.py`) is started and spoken to; gateway and worker share it."""

import json
import sys
from dataclasses import asdict

from univs_service.inputs import CAMERA, find_target
from univs_service.rtsp_child import Connection
from univs_service.settings import Settings

ROOM = b"+"  # one picture more may come


def find_camera(url: str, settings: Settings) -> Connection:
    """Check and resolve the address of a camera; blocks for the name server.

    Raises:
        InvalidInputError, ForbiddenInputError, InputUnavailableError
    """
    target = find_target(url, settings, CAMERA)
    return Connection(
        url=target.url.geturl(),
        address=target.address,
        port=target.port,
        tls_host=target.host if target.is_encrypted else None,
    )


def camera_command(settings: Settings, size: tuple[int, int]) -> list[str]:
    """Give the command of a child that scales to (width, height); (0, 0) only says how large the frames are."""
    numbers = (settings.probe_memory_bytes, settings.max_frame_pixels, settings.camera_silence_s, *size)
    return [sys.executable, "-m", "univs_service.rtsp_child", *map(str, numbers)]


def camera_greeting(connection: Connection) -> bytes:
    """Give the first line for the child: passwords go this way, where no list of processes shows them."""
    return json.dumps(asdict(connection)).encode() + b"\n"
