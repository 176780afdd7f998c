"""Routes of exports: a session's results as a file that another tool reads."""

import asyncio
import hashlib
import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, JSONResponse, Response

from univs_service.errors import InvalidInputError, NoResultsError, StorageFullError, UnknownFormatError
from univs_service.exports import FORMATS, ExportError, ExportFormat, VideoDescription, info_of, read_format, read_names
from univs_service.exports.order import ExportOrder
from univs_service.gateway.openapi import PROBLEMS
from univs_service.gateway.sessions import SessionId
from univs_service.gateway.state import PRINCIPAL, Gateway, GatewayDependency
from univs_service.messages import PushSource
from univs_service.store import paths
from univs_service.store.records import SessionSpec

router = APIRouter(prefix="/v1", tags=["exports"], responses=PROBLEMS)
_COME_BACK_S = 1


class ExportKind(BaseModel):
    """A format that results can be had in."""

    format: str = Field(description="its name in addresses")
    title: str
    suffix: str = Field(description="of the file; folders come as .zip")
    media_type: str
    about: str
    needs_video: bool = Field(description="not for sessions whose frames were pushed")


class Preparing(BaseModel):
    """The file is being made; ask again."""

    status: str = "preparing"
    format: str
    to_seq: int = Field(description="ask with this `to_seq`: a session that runs on would be a new file each time")
    retry_after_ms: int


@router.get("/exports")
async def get_export_kinds() -> list[ExportKind]:
    """List the formats that results can be had in; docs/exports.md describes them."""
    return [
        ExportKind(
            format=info.format.value,
            title=info.title,
            suffix=info.suffix,
            media_type=info.media_type,
            about=info.about,
            needs_video=info.needs_image,
        )
        for info in FORMATS
    ]


@router.get(
    "/sessions/{session_id}/exports/{format_name}",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The file; ranges of it may be asked for"},
        202: {"model": Preparing, "description": "It is being made: ask again after `Retry-After` seconds"},
    },
)
async def get_export(
    request: Request,
    session_id: SessionId,
    format_name: str,
    gateway: GatewayDependency,
    name: Annotated[list[str] | None, Query(max_length=1024, description="OBJECT:NAME, names an object")] = None,
    file_name: Annotated[str, Query(max_length=200, description="of the video, as the file shall call it")] = "video",
    to_seq: Annotated[int | None, Query(ge=1, description="last event that counts; the newest when left out")] = None,
) -> Response:
    """Have the results so far as a file; a refined frame as it was last."""
    kind = _read_format(format_name)
    names = _read_names(name or [])
    state = await gateway.store.read_state(PRINCIPAL, session_id)
    if state.last_seq == 0:
        raise NoResultsError("expected at least one frame with a result, got none so far; wait for the first one")
    title = _clean(file_name)
    base_url = str(request.base_url).rstrip("/")
    last_seq = min(state.last_seq, to_seq or state.last_seq)
    order = _order(gateway, state.spec, last_seq, kind, names, title, base_url)
    await asyncio.to_thread(_check_room, gateway)
    if not await _make(gateway, order):
        preparing = Preparing(format=kind.value, to_seq=last_seq, retry_after_ms=1000 * _COME_BACK_S)
        return JSONResponse(
            preparing.model_dump(), 202, {"Retry-After": str(_COME_BACK_S), "Cache-Control": "no-store"}
        )
    info = info_of(kind)
    return FileResponse(
        order.target,
        media_type=info.media_type,
        filename=f"{Path(title).stem}.{kind.value}{info.suffix}",
        headers={"Cache-Control": "no-cache"},
    )


async def _make(gateway: Gateway, order: ExportOrder) -> bool:
    outcome = "failed"
    try:
        is_made = await gateway.exporter.make(order, gateway.settings.export_wait_s)
        outcome = "sent" if is_made else "preparing"
    finally:
        gateway.metrics.exports.labels(order.kind.value, outcome).inc()
    return is_made


def _read_format(name: str) -> ExportFormat:
    try:
        return read_format(name)
    except ExportError as error:
        raise UnknownFormatError(str(error)) from error


def _read_names(options: list[str]) -> dict[int, str]:
    try:
        return read_names(options)
    except ExportError as error:
        raise InvalidInputError(str(error)) from error


def _clean(file_name: str) -> str:
    """Make a name that is a plain file name whatever comes in."""
    printable = "".join(character for character in file_name if character.isprintable())
    return printable.replace("\\", "/").rpartition("/")[2].lstrip(". ") or "video"


def _order(
    gateway: Gateway,
    spec: SessionSpec,
    last_seq: int,
    kind: ExportFormat,
    names: dict[int, str],
    title: str,
    base_url: str,
) -> ExportOrder:
    data_dir = gateway.settings.data_dir
    if isinstance(spec.source, PushSource):
        frame_rate: str | None = str(Fraction(spec.source.fps).limit_denominator(100_000))
    else:
        frame_rate = spec.video.frame_rate if spec.video else None
    video_id = spec.video.video_id if spec.video else None
    frames_url = f"{base_url}/v1/videos/{video_id}/frames/" if video_id else None
    digest = hashlib.sha256(json.dumps([sorted(names.items()), title, frames_url]).encode()).hexdigest()[:16]
    target = f"{kind.value}-{last_seq}-{digest}{info_of(kind).suffix}"
    return ExportOrder(
        kind=kind,
        results=paths.results_file(data_dir, spec.session_id).absolute(),
        last_seq=last_seq,
        target=paths.exports_folder(data_dir, spec.session_id).absolute() / target,
        video=VideoDescription(name=title, width=spec.frame_width, height=spec.frame_height, frame_rate=frame_rate),
        video_file=paths.video_file(data_dir, PRINCIPAL, video_id).absolute() if video_id else None,
        names=names,
        frames_url=frames_url,
    )


def _check_room(gateway: Gateway) -> None:
    data_dir, wanted = gateway.settings.data_dir, gateway.settings.min_free_disk_bytes
    free = shutil.disk_usage(data_dir).free
    if free < wanted:
        raise StorageFullError(f"expected {wanted} bytes to be free for exports, got {free}; delete videos")
