"""Pushed frames: read the binary envelope, check its size, put the picture into the session's folder.

A message that is no frame closes the socket: nobody knows which frame it was. A frame that cannot be used takes its
number, gets `frame.error`, and the next one is welcome. Pictures are decoded by the worker, which says the same of a
damaged one.
"""

import asyncio
import struct
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from univs_service.errors import BadFrameError, BadMessageError, PushedFrameTooLargeError, ServiceError
from univs_service.gateway.uploads import storage_errors
from univs_service.messages import FrameHeader, PushFrame, PushSource
from univs_service.store import paths
from univs_service.store.records import SessionSpec

_ENVELOPE = struct.Struct("<BBHIQ")  # version, kind, flags, length of the JSON header, frame index
_VERSION, _KIND_INPUT_FRAME = 1, 1
_MAX_HEADER_BYTES = 4096
_PTS_PER_S = 90000
_SLACK_BYTES = 65536  # a PNG of noise is a little larger than its pixels


@dataclass(frozen=True, slots=True)
class InputFrame:
    """A frame as a client pushed it."""

    frame_index: int
    header: FrameHeader
    payload: memoryview


def read_frame(message: bytes, spec: SessionSpec) -> InputFrame:
    """Read the envelope of one binary message.

    Raises:
        BadMessageError: when it is no frame in our envelope.
    """
    if not isinstance(spec.source, PushSource):
        raise BadMessageError("expected text messages in a session whose frames are not pushed, got a binary one")
    return _open_envelope(message)


def find_fault(frame: InputFrame, source: PushSource) -> ServiceError | None:
    """Say what is wrong with the bytes of a frame, as far as their number tells."""
    frame_bytes, num_bytes = 3 * source.width * source.height, len(frame.payload)
    if frame.header.encoding == "raw" and num_bytes != frame_bytes:
        return BadFrameError(
            f"expected {frame_bytes} bytes of raw rgb24 for {source.width} x {source.height}, "
            f"got {num_bytes}; rows run from the top without padding"
        )
    if num_bytes > frame_bytes + _SLACK_BYTES:
        return PushedFrameTooLargeError(
            f"expected at most {frame_bytes + _SLACK_BYTES} bytes in a frame of {source.width} x {source.height}, "
            f"got {num_bytes}; push frames of the size that the session was made with"
        )
    return None


def _open_envelope(message: bytes) -> InputFrame:
    if len(message) < _ENVELOPE.size:
        raise BadMessageError(f"expected an envelope of {_ENVELOPE.size} bytes, got {len(message)} bytes in all")
    version, kind, flags, header_bytes, frame_index = _ENVELOPE.unpack_from(message)
    if (version, kind, flags) != (_VERSION, _KIND_INPUT_FRAME, 0) or header_bytes > _MAX_HEADER_BYTES:
        raise BadMessageError(
            f"expected an envelope of version {_VERSION}, kind {_KIND_INPUT_FRAME}, flags 0 and a header of at most "
            f"{_MAX_HEADER_BYTES} bytes, got version {version}, kind {kind}, flags {flags}, {header_bytes} bytes"
        )
    end = _ENVELOPE.size + header_bytes
    try:
        header = FrameHeader.model_validate_json(message[_ENVELOPE.size : end])
    except ValidationError as error:
        raise BadMessageError(
            'expected a JSON header such as {"encoding": "png"} (or raw, webp, jpeg), '
            f"got one with {error.error_count()} errors, the first: {error.errors()[0]['msg']}"
        ) from error
    return InputFrame(frame_index, header, memoryview(message)[end:])


async def spool_frame(data_dir: Path, spec: SessionSpec, frame: InputFrame) -> PushFrame:
    """Write a frame into the session's folder; give the command that refers to it.

    Raises:
        StorageFullError: when the disk is full.
    """
    assert isinstance(spec.source, PushSource)
    name = paths.frame_name(frame.frame_index, frame.header.encoding)
    target = paths.frames_folder(data_dir, spec.session_id) / name
    with storage_errors():
        await asyncio.to_thread(_write_whole, target, frame.payload)
    pts = frame.header.pts
    if pts is None:
        pts = round(frame.frame_index * _PTS_PER_S / spec.source.fps)
    return PushFrame(frame_index=frame.frame_index, pts=pts, name=name, encoding=frame.header.encoding)


def _write_whole(target: Path, payload: memoryview) -> None:
    """Write under another name first: a file under its own name is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    try:
        partial.write_bytes(payload)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
