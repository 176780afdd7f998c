"""The child process that reads one camera (RTSP) under limits. Imports nothing of the service.

`python -m univs_service.rtsp_child MEMORY_BYTES MAX_PIXELS SILENCE_S WIDTH HEIGHT` reads from stdin a line of JSON
(Connection), then one byte for each picture that there is room for. On stdout comes a line of JSON (CameraInfo), then
for each frame of the camera PACKET and, when there was room for it, the picture: rgb24, scaled to WIDTH x HEIGHT. A
frame that finds no room is dropped here, so that what comes next is the newest. WIDTH 0 ends after CameraInfo. A
failure is a JSON list of code and detail on stderr.
"""

import json
import os
import resource
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from univs_service.media_child import orientation_of, to_rgb
from univs_service.rtsp_relay import Relay

PACKET = struct.Struct("<?q")  # whether a picture follows, pts in units of 1/90000 s, the camera's own
PTS_PER_S = 90_000
_OPEN_TIMEOUT_S = 15.0
_FRAME_S = 0.04  # how much later a frame without a time is than the one before


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the camera is: `url` names it, `address` was checked."""

    url: str
    address: str
    port: int
    tls_host: str | None


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What a camera shows."""

    width: int  # of the displayed frames, rotation applied
    height: int


class CameraError(Exception):
    """Why the camera cannot be read any more: the code of an error of the service, and its detail."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def read_camera(connection: Connection, size: tuple[int, int], silence_s: float, max_pixels: int) -> None:
    """Write what the camera shows until it ends."""
    room = threading.Semaphore(0)
    threading.Thread(target=_take_room, args=(room,), daemon=True).start()
    is_first, seconds = True, -_FRAME_S
    for picture in _pictures(connection, silence_s):
        orientation = orientation_of(picture)
        if picture.width * picture.height > max_pixels:
            raise CameraError(
                "frame_size",
                f"expected at most {max_pixels} pixels in a frame, got {picture.width} x {picture.height}; "
                "choose a smaller stream of the camera",
            )
        if is_first:
            is_first = False
            sides = (picture.height, picture.width) if orientation.is_transposed else (picture.width, picture.height)
            sys.stdout.buffer.write(json.dumps(asdict(CameraInfo(*sides))).encode() + b"\n")
            sys.stdout.buffer.flush()
            if not size[0]:
                return
        seconds = picture.time if picture.time is not None else seconds + _FRAME_S  # the first ones may have none
        has_room = room.acquire(blocking=False)
        sys.stdout.buffer.write(PACKET.pack(has_room, round(seconds * PTS_PER_S)))
        if has_room:
            width, height = size[::-1] if orientation.is_transposed else size
            sys.stdout.buffer.write(orientation.apply(to_rgb(picture, width, height)).data)
        sys.stdout.buffer.flush()


def _pictures(connection: Connection, silence_s: float) -> Iterator[VideoFrame]:
    try:
        relay = Relay(connection.address, connection.port, connection.tls_host)
    except OSError as error:
        raise CameraError("input_unavailable", f"expected the camera to answer, got: {error}; check it") from error
    try:
        with _open(connection, relay, silence_s) as container:
            yield from _decode(container, container.streams.video[0])
    except (av.FFmpegError, IndexError) as error:
        reason = relay.failure or (error.strerror if isinstance(error, av.FFmpegError) else "it has no video")
        raise CameraError(
            "input_unavailable", f"expected video of the camera, got: {reason}; check its address and its state"
        ) from error


def _open(connection: Connection, relay: Relay, silence_s: float) -> InputContainer:
    parts = urlsplit(connection.url)
    user, at, _ = parts.netloc.rpartition("@")
    url = parts._replace(scheme="rtsp", netloc=f"{user}{at}127.0.0.1:{relay.port}").geturl()
    options = {
        "rtsp_transport": "tcp",
        "allowed_media_types": "video",
        "protocol_whitelist": "rtsp,rtp,tcp",
        "analyzeduration": "500000",  # microseconds; what is read meanwhile comes all at once afterwards
    }
    return av.open(url, "r", format="rtsp", container_options=options, timeout=(_OPEN_TIMEOUT_S, silence_s))


def _decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode in display order; what the decoder refuses is passed over: the next key frame sets it right."""
    stream.codec_context.thread_count = 1
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.InvalidDataError:
            continue


def _take_room(room: threading.Semaphore) -> None:
    while data := os.read(sys.stdin.fileno(), 64):
        room.release(len(data))
    os._exit(0)  # nobody reads any more


def main(arguments: list[str]) -> int:
    """Run the child."""
    memory_bytes, max_pixels, silence_s, width, height = arguments
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_bytes), int(memory_bytes)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # pipes are no files
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    av.logging.set_level(None)
    try:
        connection = Connection(**json.loads(_read_line()))
        read_camera(connection, (int(width), int(height)), float(silence_s), int(max_pixels))
    except CameraError as error:
        sys.stderr.write(json.dumps([error.code, error.detail]) + "\n")
        sys.stderr.flush()
        os._exit(3)  # threads may wait for ever
    except BrokenPipeError:  # nobody reads any more
        os._exit(0)
    sys.stdout.flush()
    os._exit(0)


def _read_line() -> bytes:
    """Read the first line of stdin and not a byte more."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(sys.stdin.fileno(), 1)):
        line += byte
    return line


if __name__ == "__main__":
    main(sys.argv[1:])
