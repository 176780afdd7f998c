"""Reading and writing what travels on the websocket and in NDJSON."""

import json
import struct
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from univs_service.messages import ErrorMessage, FrameHeader, PictureEncoding, Pong, Ready, StreamEvent

SUBPROTOCOL = "univs.v1+json"
_ENVELOPE = struct.Struct("<BBHIQ")  # version, kind, flags, length of the JSON header, frame index
_VERSION = 1
_KIND_INPUT_FRAME = 1

ServerMessage: TypeAlias = StreamEvent | Ready | Pong | ErrorMessage

_events: TypeAdapter[StreamEvent] = TypeAdapter(StreamEvent)
_known_events = frozenset(
    {
        "frame.result",
        "frame.dropped",
        "frame.error",
        "prompt.applied",
        "prompt.refused",
        "object.removed",
        "config.applied",
        "config.refused",
        "run.done",
        "input.lost",
        "input.back",
        "error",
        "session.closed",
    }
)


def read_message(text: str | bytes) -> ServerMessage | None:
    """Give a message of the server, or None for a kind that only a newer client knows."""
    fields = json.loads(text)
    match fields.get("type"):
        case "ready":
            return Ready.model_validate(fields)
        case "pong":
            return Pong.model_validate(fields)
        case "error" if "seq" not in fields:
            return ErrorMessage.model_validate(fields)
        case kind if kind in _known_events:
            return _events.validate_python(fields)
        case _:
            return None


def write_frame(frame_index: int, image: NDArray[np.uint8] | bytes, pts: int | None = None) -> bytes:
    """Give the binary message of a pushed frame.

    Args:
        frame_index: counted from 0, rising by one.
        image: uint8 [H, W, 3], RGB, at the size the session was made with; or the bytes of a PNG, WebP or JPEG file.
        pts: in units of 1/90000 s; left out, the service counts with the session's frame rate.
    """
    if isinstance(image, bytes):
        header, payload = FrameHeader(encoding=_encoding_of(image), pts=pts), image
    else:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"a frame must be uint8 [H, W, 3], got {image.dtype} {image.shape}")
        header, payload = FrameHeader(encoding="raw", pts=pts), np.ascontiguousarray(image).tobytes()
    header_bytes = header.model_dump_json(exclude_none=True).encode()
    envelope = _ENVELOPE.pack(_VERSION, _KIND_INPUT_FRAME, 0, len(header_bytes), frame_index)
    return b"".join((envelope, header_bytes, payload))


def _encoding_of(file: bytes) -> PictureEncoding:
    if file.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if file.startswith(b"RIFF") and file[8:12] == b"WEBP":
        return "webp"
    if file.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    raise ValueError(f"expected the bytes of a PNG, WebP or JPEG file, got {file[:12]!r}; give an array for raw pixels")
