"""Read the request that starts a session: JSON, or a form that carries the video itself."""

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from pydantic import TypeAdapter
from starlette.requests import Request

from univs_service.errors import (
    BadRequestError,
    FrameSizeError,
    InvalidInputError,
    PromptConflictError,
    TooManyError,
    UnknownModelError,
)
from univs_service.gateway.commands import check_range
from univs_service.gateway.json_body import extend, parse, read_json
from univs_service.gateway.multipart import PartBegin, PartEnd, read_parts
from univs_service.gateway.prompts import check_prompt
from univs_service.gateway.state import PRINCIPAL, Gateway, new_id
from univs_service.gateway.uploads import IncomingVideo, check_declared_size, read_video, store_video
from univs_service.gateway.wishes import check_first_wish
from univs_service.messages import (
    Configure,
    FieldError,
    Following,
    ModelInfo,
    PromptIn,
    PushSource,
    RtspSource,
    SessionIn,
    Source,
    Video,
    VideoSource,
    Wish,
)
from univs_service.settings import Settings
from univs_service.store.records import SessionSpec

_PROMPTS: TypeAdapter[list[PromptIn]] = TypeAdapter(list[PromptIn])
_PARTS = "`video` (the file), `prompts` (JSON list) and `options` (JSON object)"


@dataclass(frozen=True, slots=True)
class WantedSession:
    """What a session shall be made with, checked."""

    spec: SessionSpec
    prompts: list[PromptIn]
    configure: Configure | None  # None for prompted objects alone


class SessionOptions(Wish, Following):
    """Part `options` of the form: the fields of SessionIn that are neither source nor prompts."""

    model: str | None = None
    from_frame: int = 0
    to_frame: int | None = None
    auto_start: bool = True


async def read_session_request(request: Request, gateway: Gateway) -> WantedSession:
    """Read and check what a session shall be made with; nothing is made yet, but a video in it is stored."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        wish, video = await _read_form(request, gateway)
    else:
        wish = await read_json(request, gateway.settings, SessionIn)
        video = None
        if isinstance(wish.source, VideoSource):
            video = await read_video(gateway, wish.source.video_id)
    models = await gateway.models()
    _check_live(wish, gateway.settings)
    model = _choose_model(wish.model, models, gateway.settings.model)
    check_first_wish(wish, model, models)
    spec = _make_spec(wish, video, await _frame_size(wish.source, video, gateway), model)
    _check_counts(wish.prompts, gateway)
    _check_ids(wish.prompts)
    for number, prompt in enumerate(wish.prompts):
        check_prompt(prompt, spec, models, where=["prompts", number])
    prompts = [
        prompt if prompt.prompt_id else prompt.model_copy(update={"prompt_id": new_id()}) for prompt in wish.prompts
    ]
    configure = Configure(task=wish.task, vocabulary=wish.vocabulary) if wish.tasks else None
    return WantedSession(spec, prompts, configure)


async def _read_form(request: Request, gateway: Gateway) -> tuple[SessionIn, Video]:
    check_declared_size(request, gateway.settings)
    texts: dict[str, bytearray] = {}
    incoming: IncomingVideo | None = None
    name = ""
    async with AsyncExitStack() as stack:
        async for event in read_parts(request):
            match event:
                case PartBegin(name):
                    if name in texts or (name == "video" and incoming) or name not in {"video", "prompts", "options"}:
                        raise BadRequestError(f"expected the parts {_PARTS}, each once, got one more, named {name!r}")
                    if name == "video":
                        incoming = await stack.enter_async_context(IncomingVideo(gateway.settings))
                    else:
                        texts[name] = bytearray()
                case bytes() if name == "video":
                    assert incoming is not None
                    await incoming.write(event)
                case bytes():
                    extend(texts[name], event, gateway.settings.max_request_bytes)
                case PartEnd():
                    pass
        if incoming is None:
            raise BadRequestError(f"expected the parts {_PARTS}, got no `video`; send the file as part `video`")
        prompts = parse(_PROMPTS, bytes(texts.get("prompts", b"[]")), "the part `prompts`")
        options = parse(TypeAdapter(SessionOptions), bytes(texts.get("options", b"{}")), "the part `options`")
        video, _ = await store_video(gateway, incoming)
    source = VideoSource(video_id=video.video_id)
    return SessionIn(source=source, prompts=prompts, **options.model_dump()), video


def _choose_model(wanted: str | None, models: list[ModelInfo], default: str) -> str:
    """Give the model of a session; with no worker alive it waits for one that has it."""
    names = [model.name for model in models]
    if wanted is None:
        shipped = [model.name for model in models if not model.is_own] or names
        return default if default in names or not names else shipped[0]
    if names and wanted not in names:
        raise UnknownModelError(
            f"expected a model that a worker offers ({', '.join(names)}), got {wanted!r}; choose one of these, leave "
            "`model` out, or put its file into the service's folder of weights"
        )
    return wanted


async def _frame_size(source: Source, video: Video | None, gateway: Gateway) -> tuple[int, int]:
    """Find width and height of the displayed frames; a camera is asked for its first one."""
    match source:
        case PushSource():
            return source.width, source.height
        case RtspSource():
            camera = await gateway.media.probe_camera(source.url)
            return camera.width, camera.height
    assert video is not None, "it was looked up"
    return video.width, video.height


def _make_spec(wish: SessionIn, video: Video | None, frame_size: tuple[int, int], model: str) -> SessionSpec:
    check_range(wish.from_frame, wish.to_frame, video.num_frames if video else None)
    return SessionSpec(
        session_id=new_id(),
        principal=PRINCIPAL,
        source=wish.source,
        model=model,
        video=video,
        frame_width=frame_size[0],
        frame_height=frame_size[1],
        from_frame=wish.from_frame,
        to_frame=wish.to_frame,
        auto_start=wish.auto_start,
        created_at=time.time(),
        task=list(wish.tasks),
        following=wish.following,
    )


def _check_live(wish: SessionIn, settings: Settings) -> None:
    """Refuse what live frames cannot do: be too large, or begin in the middle."""
    if isinstance(wish.source, VideoSource):
        return
    if wish.from_frame:
        raise InvalidInputError(
            f"expected from_frame 0 in a session with live frames, got {wish.from_frame}; they count from 0",
            errors=[FieldError(loc=["from_frame"], msg="must be 0")],
        )
    if isinstance(wish.source, PushSource) and wish.source.width * wish.source.height > settings.max_frame_pixels:
        raise FrameSizeError(
            f"expected at most {settings.max_frame_pixels} pixels in a frame, "
            f"got {wish.source.width} x {wish.source.height}; scale the frames down"
        )


def _check_ids(prompts: list[PromptIn]) -> None:
    ids = [prompt.prompt_id for prompt in prompts if prompt.prompt_id is not None]
    if len(set(ids)) < len(ids):
        twice = next(prompt_id for prompt_id in ids if ids.count(prompt_id) > 1)
        raise PromptConflictError(f"expected a prompt_id of its own for each prompt, got {twice!r} twice; rename one")


def _check_counts(prompts: list[PromptIn], gateway: Gateway) -> None:
    num_objects, num_prompts = len({prompt.object_id for prompt in prompts}), len(prompts)
    limits = gateway.settings
    if num_objects > limits.max_objects or num_prompts > limits.max_prompts:
        raise TooManyError(
            f"expected at most {limits.max_objects} objects and {limits.max_prompts} prompts in a session, "
            f"got {num_objects} and {num_prompts}; split them over several sessions"
        )
