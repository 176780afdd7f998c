"""Routes of sessions: make them, speak to them, read where they stand and what they gave."""

import logging
from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response
from pydantic import BaseModel, Field

from univs_service.gateway import commands
from univs_service.gateway.openapi import PROBLEMS, form_content
from univs_service.gateway.session_request import read_session_request
from univs_service.gateway.state import PRINCIPAL, Gateway, GatewayDependency
from univs_service.inputs import without_password
from univs_service.messages import Configure, PromptIn, Propagate, RtspSource, Session
from univs_service.store.records import SessionState

_logger = logging.getLogger(__name__)
router = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=PROBLEMS)
SessionId = Annotated[str, Path(description="as POST /v1/sessions gave it")]


class Accepted(BaseModel):
    """A command stands in the session's log; its effect shows in the events."""

    session_id: str
    prompt_id: str | None = None
    config_id: str | None = None
    is_repeat: bool = Field(default=False, description="the same was sent before; nothing happened")


@router.post(
    "",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/SessionIn"}},
                **form_content(
                    {
                        "video": {"type": "string", "format": "binary"},
                        "prompts": {"type": "string", "description": "JSON list of prompts"},
                        "options": {
                            "type": "string",
                            "description": "JSON object of task, vocabulary, model, from_frame, to_frame, auto_start",
                        },
                    },
                    required=["video"],
                ),
            },
        }
    },
)
async def post_session(request: Request, response: Response, gateway: GatewayDependency) -> Session:
    """Start a session on a stored video, on frames to be pushed, or on a video or a still in the same request.

    It waits as `queued` until a worker takes it, then runs to its end whether or not anybody listens.
    """
    wanted = await read_session_request(request, gateway)
    spec = wanted.spec
    await gateway.store.create_session(spec, wanted.prompts, wanted.configure)
    gateway.metrics.sessions_created.labels(spec.source.kind).inc()
    _logger.info("session created", extra={"session_id": spec.session_id, "source": spec.source.kind})
    response.headers["Location"] = f"/v1/sessions/{spec.session_id}"
    return describe(request, await gateway.store.read_state(PRINCIPAL, spec.session_id))


@router.get("/{session_id}")
async def get_session(request: Request, session_id: SessionId, gateway: GatewayDependency) -> Session:
    """Read where a session stands."""
    return describe(request, await gateway.store.read_state(PRINCIPAL, session_id))


@router.delete("/{session_id}", status_code=204)
async def delete_session(session_id: SessionId, gateway: GatewayDependency) -> None:
    """Stop a session; its results can still be read. The second time is as good as the first."""
    state = await gateway.store.read_state(PRINCIPAL, session_id)
    if not state.is_ended:
        await commands.close_session(gateway, state.spec)


@router.post("/{session_id}/prompts", status_code=202)
async def post_prompt(session_id: SessionId, prompt: PromptIn, gateway: GatewayDependency) -> Accepted:
    """Add a prompt to a session; `prompt.applied` will tell from which frame on it counts."""
    state = await _for_command(gateway, session_id)
    is_new, prompt_id = await commands.add_prompt(gateway, state.spec, prompt)
    return Accepted(session_id=session_id, prompt_id=prompt_id, is_repeat=not is_new)


@router.post("/{session_id}/config", status_code=202)
async def post_config(session_id: SessionId, configure: Configure, gateway: GatewayDependency) -> Accepted:
    """Ask for other tasks, or look for more categories; `config.applied` will tell from which frame on."""
    state = await _for_command(gateway, session_id)
    is_new, config_id = await commands.configure(gateway, state.spec, configure)
    return Accepted(session_id=session_id, config_id=config_id, is_repeat=not is_new)


@router.delete("/{session_id}/objects/{object_id}", status_code=204)
async def delete_object(
    session_id: SessionId, object_id: Annotated[int, Path(ge=1, le=2**31 - 1)], gateway: GatewayDependency
) -> None:
    """Forget an object from the next step on; the second time is as good as the first."""
    state = await _for_command(gateway, session_id)
    await commands.remove_object(gateway, state.spec, object_id)


@router.post("/{session_id}/propagate", status_code=202)
async def post_propagate(
    session_id: SessionId, gateway: GatewayDependency, propagate: Annotated[Propagate | None, Body()] = None
) -> Accepted:
    """Run a session from a frame to a frame; without a body from where it stands to its end."""
    state = await _for_command(gateway, session_id)
    await commands.run(gateway, state.spec, propagate or Propagate())
    return Accepted(session_id=session_id)


def describe(request: Request, state: SessionState) -> Session:
    """Give a session as clients see it."""
    spec = state.spec
    base = str(request.base_url).rstrip("/")
    path = f"/v1/sessions/{spec.session_id}"
    source = spec.source
    if isinstance(source, RtspSource):
        source = source.model_copy(update={"url": without_password(source.url)})
    return Session(
        session_id=spec.session_id,
        status=state.status,
        source=source,
        model=spec.model,
        task=spec.task,
        weights=state.weights,
        next_frame=state.next_frame,
        num_frames=spec.video.num_frames if spec.video else None,
        last_seq=state.last_seq,
        num_objects=state.num_objects,
        ws_url=f"ws{base.removeprefix('http')}{path}/stream",
        results_url=f"{base}{path}/results",
        created_at=spec.created_at,
        expires_at=state.expires_at,
        problem=state.problem,
    )


async def _for_command(gateway: Gateway, session_id: str) -> SessionState:
    state = await gateway.store.read_state(PRINCIPAL, session_id)
    await gateway.store.touch(session_id)
    return state
