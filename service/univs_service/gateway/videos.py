"""Routes of stored videos."""

import asyncio
import shutil
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response

from univs_service.errors import BadRequestError, UnknownFrameError, UnknownVideoError
from univs_service.gateway.fetch import fetch
from univs_service.gateway.json_body import read_json
from univs_service.gateway.multipart import PartBegin, read_parts
from univs_service.gateway.openapi import PROBLEMS, form_content
from univs_service.gateway.state import PRINCIPAL, GatewayDependency
from univs_service.gateway.uploads import IncomingVideo, check_declared_size, is_video_id, read_video, store_video
from univs_service.messages import Video, VideoIn
from univs_service.settings import Settings
from univs_service.store import paths

router = APIRouter(prefix="/v1/videos", tags=["videos"], responses=PROBLEMS)
_FOREVER = "public, max-age=31536000, immutable"
VideoId = Annotated[str, Path(description="SHA-256 of the file, in hexadecimal")]


@router.post(
    "",
    status_code=201,
    responses={200: {"model": Video, "description": "These bytes were stored before"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/VideoIn"}},
                **form_content({"video": {"type": "string", "format": "binary"}}, required=["video"]),
            },
        }
    },
)
async def post_video(request: Request, response: Response, gateway: GatewayDependency) -> Video:
    """Store a video: sent as the part `video` of a form, or fetched from the `url` in a JSON body.

    The same bytes again give the same video.
    """
    async with IncomingVideo(gateway.settings) as incoming:
        if request.headers.get("content-type", "").startswith("application/json"):
            wish = await read_json(request, gateway.settings, VideoIn)
            await fetch(wish.url, incoming, gateway.settings)
        else:
            await _receive(request, incoming, gateway.settings)
        video, is_new = await store_video(gateway, incoming)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/videos/{video.video_id}"
    return video


async def _receive(request: Request, incoming: IncomingVideo, settings: Settings) -> None:
    """Take the part `video` of a form."""
    check_declared_size(request, settings)
    num_videos = 0
    async for event in read_parts(request):
        match event:
            case PartBegin(name):
                num_videos += 1
                if name != "video" or num_videos > 1:
                    raise BadRequestError(f"expected one part, named `video`, got one more, named {name!r}")
            case bytes():
                await incoming.write(event)
    if not num_videos:
        raise BadRequestError("expected a part named `video`, got none; send the file as `curl -F video=@FILE`")


@router.get("/{video_id}")
async def get_video(video_id: VideoId, response: Response, gateway: GatewayDependency) -> Video:
    """Read what is known of a video."""
    video = await read_video(gateway, video_id)
    response.headers["ETag"] = f'"{video_id}"'
    return video


@router.delete("/{video_id}", status_code=204)
async def delete_video(video_id: VideoId, gateway: GatewayDependency) -> None:
    """Delete a video; the second time is as good as the first. Refused while a session reads it."""
    if not is_video_id(video_id):
        return
    await gateway.store.forget_video(PRINCIPAL, video_id)
    folder = paths.video_folder(gateway.settings.data_dir, PRINCIPAL, video_id)
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@router.get(
    "/{video_id}/frames/{frame_index}",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {}}, "description": "The displayed frame, rotation applied"},
        304: {"description": "The client holds it already"},
    },
)
async def get_frame(
    video_id: VideoId,
    frame_index: int,
    gateway: GatewayDependency,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Read one frame as a JPEG file; frames count from 0 in the order they are shown."""
    video = await read_video(gateway, video_id)
    if frame_index < 0 or (video.num_frames is not None and frame_index >= video.num_frames):
        raise UnknownFrameError(f"expected a frame from 0 to {(video.num_frames or 0) - 1}, got {frame_index}")
    headers = {"ETag": f'"{video_id}-{frame_index}"', "Cache-Control": _FOREVER}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    file = paths.video_file(gateway.settings.data_dir, PRINCIPAL, video_id)
    if not file.exists():
        raise UnknownVideoError(f"expected the file of video {video_id}, but it is gone; upload it again")
    return Response(await gateway.media.frame(file, frame_index), headers=headers, media_type="image/jpeg")
