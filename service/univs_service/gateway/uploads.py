"""Take in a file: to disk as it arrives, hashed on the way, at constant memory; nothing is left of a failed one."""

import asyncio
import errno
import hashlib
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from starlette.requests import Request

from univs_service.errors import StorageFullError, UnknownVideoError, UploadTooLargeError
from univs_service.gateway.state import PRINCIPAL, Gateway
from univs_service.messages import Video
from univs_service.settings import Settings
from univs_service.store import paths

_PIECE_BYTES = 1024 * 1024
_FORM_BYTES = 64 * 1024 * 1024  # what a form may hold besides the video: prompts, boundaries
_HEX = frozenset("0123456789abcdef")
_logger = logging.getLogger(__name__)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class IncomingVideo:
    """One upload under way; as `async with`, so that it is gone at the end unless it was stored."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        folder = paths.incoming_folder(settings.data_dir, PRINCIPAL)
        with storage_errors():
            folder.mkdir(parents=True, exist_ok=True)
            self.path = folder / uuid4().hex
            self._file = self.path.open("xb")
        self._hash = hashlib.sha256()
        self._piece = bytearray()
        self.size_bytes = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    async def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            UploadTooLargeError: beyond `max_upload_bytes`.
            StorageFullError: when the disk is full or nearly so.
        """
        self.size_bytes += len(data)
        check_upload_size(self.size_bytes, self._settings)
        self._piece += data
        if len(self._piece) >= _PIECE_BYTES:
            await self._flush()

    async def finish(self) -> str:
        """Write what is left; give the SHA-256 of the whole in hexadecimal."""
        await self._flush()
        with storage_errors():
            self._file.close()
        return self._hash.hexdigest()

    async def _flush(self) -> None:
        piece, self._piece = self._piece, bytearray()
        await asyncio.to_thread(self._write_piece, piece)

    def _write_piece(self, piece: bytearray) -> None:
        with storage_errors():
            free = shutil.disk_usage(self.path.parent).free
            if free < self._settings.min_free_disk_bytes + len(piece):
                raise OSError(errno.ENOSPC, f"{free} bytes are free")
            self._hash.update(piece)
            self._file.write(piece)
            self._file.flush()


def check_upload_size(size_bytes: int, settings: Settings) -> None:
    """Refuse an upload that is too large."""
    if size_bytes > settings.max_upload_bytes:
        raise UploadTooLargeError(
            f"expected at most {settings.max_upload_bytes} bytes, got {size_bytes} or more; "
            "cut or compress the video, or raise UNIVS_MAX_UPLOAD_BYTES"
        )


def check_declared_size(request: Request, settings: Settings) -> None:
    """Refuse a request that says itself that it is too large, before it is read."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > settings.max_upload_bytes + _FORM_BYTES:
        check_upload_size(int(declared), settings)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a full disk into StorageFullError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise StorageFullError(
            f"expected room on the disk for what was sent, but {error.strerror}; delete videos or make room",
            retry_after_s=60.0,
        ) from error


async def store_video(gateway: Gateway, incoming: IncomingVideo) -> tuple[Video, bool]:
    """Look into a complete upload and keep it under its hash.

    Returns:
        The video, and whether it is new: the same bytes again cost nothing.
    Raises:
        NotAVideoError, NoFramesError, DamagedVideoError, FrameSizeError
    """
    video_id = await incoming.finish()
    file = paths.video_file(gateway.settings.data_dir, PRINCIPAL, video_id)
    known = await gateway.store.find_video(PRINCIPAL, video_id)
    if known is not None and file.exists():
        gateway.metrics.uploads.labels("known").inc()
        return known, False
    video = await _look_into(gateway, incoming.path, video_id)
    with storage_errors():
        await asyncio.to_thread(_move, incoming.path, file)
    await gateway.store.write_video(PRINCIPAL, video)
    gateway.metrics.uploads.labels("stored").inc()
    gateway.metrics.upload_bytes.inc(video.size_bytes)
    _logger.info("video stored", extra={"video_id": video_id, "size_bytes": video.size_bytes})
    return video, True


async def read_video(gateway: Gateway, video_id: str) -> Video:
    """Read what is known of a stored video; a file whose record was lost with Redis is looked into again.

    Raises:
        UnknownVideoError: when it is not stored.
    """
    known = await gateway.store.find_video(PRINCIPAL, video_id)
    if known is not None:
        return known
    file = paths.video_file(gateway.settings.data_dir, PRINCIPAL, video_id)
    if not (is_video_id(video_id) and file.exists()):
        raise UnknownVideoError(
            f"expected the id of an uploaded video (64 hexadecimal digits), got {video_id!r}; "
            "upload it with POST /v1/videos"
        )
    video = await _look_into(gateway, file, video_id)
    await gateway.store.write_video(PRINCIPAL, video)
    return video


def is_video_id(video_id: str) -> bool:
    """Say whether a text can be the id of a video; nothing else is ever used in a path."""
    return len(video_id) == 64 and _HEX.issuperset(video_id)


async def _look_into(gateway: Gateway, path: Path, video_id: str) -> Video:
    with gateway.metrics.probe_seconds.time():
        info = await gateway.media.probe(path)
    return Video(
        video_id=video_id,
        sha256=video_id,
        size_bytes=path.stat().st_size,
        width=info.width,
        height=info.height,
        num_frames=info.num_frames,
        frame_rate=info.frame_rate,
        duration_s=info.duration_s,
        rotation=info.rotation,
        is_still=info.is_still,
        created_at=time.time(),
    )


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
