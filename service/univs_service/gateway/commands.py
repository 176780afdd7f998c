"""Commands to a session, checked before they enter its log; routes and the websocket share them."""

from univs_service.errors import ConflictError, InvalidInputError
from univs_service.gateway.prompts import check_direction, check_prompt
from univs_service.gateway.state import Gateway, new_id
from univs_service.gateway.wishes import check_wish
from univs_service.messages import (
    AddPrompt,
    CloseSession,
    Configure,
    FieldError,
    InputEnd,
    PromptIn,
    Propagate,
    RemoveObject,
)
from univs_service.store.records import SessionSpec


async def add_prompt(gateway: Gateway, spec: SessionSpec, prompt: PromptIn) -> tuple[bool, str]:
    """Check a prompt and put it into the session's log.

    Returns:
        Whether it is new, and its id.
    """
    check_prompt(prompt, spec, await gateway.models())
    if prompt.prompt_id is None:
        prompt = prompt.model_copy(update={"prompt_id": new_id()})
    is_new = await gateway.store.append(spec, AddPrompt(prompt=prompt))
    assert prompt.prompt_id is not None
    return is_new, prompt.prompt_id


async def configure(gateway: Gateway, spec: SessionSpec, wish: Configure) -> tuple[bool, str]:
    """Check what is asked of a running session and put it into its log.

    Returns:
        Whether it is new, and its id.
    """
    if not wish.tasks and wish.vocabulary is None:
        raise InvalidInputError(
            "expected `task`, `vocabulary` or both, got neither; say what shall change",
            errors=[FieldError(loc=["task"], msg="must be given where `vocabulary` is not")],
        )
    check_wish(wish, spec.model, await gateway.models())
    config_id = wish.config_id or new_id()
    is_new = await gateway.store.append(spec, wish.model_copy(update={"config_id": config_id}))
    return is_new, config_id


async def run(gateway: Gateway, spec: SessionSpec, propagate: Propagate) -> None:
    """Check a range of frames and let the session run over it."""
    check_direction(propagate.direction, spec)
    num_frames = spec.video.num_frames if spec.video else None
    if propagate.direction == "backward":
        lowest = min(spec.from_frame, propagate.from_frame or 0) if propagate.to_frame is None else propagate.to_frame
        check_range(lowest, propagate.from_frame, num_frames)
    else:
        check_range(propagate.from_frame or 0, propagate.to_frame, num_frames)
    await gateway.store.append(spec, propagate)


async def close_session(gateway: Gateway, spec: SessionSpec) -> None:
    """Stop a session; nothing happens when it ends by itself meanwhile."""
    await gateway.store.append(spec, CloseSession(), request_id="close")


def check_range(from_frame: int, to_frame: int | None, num_frames: int | None) -> None:
    """Refuse a range of frames that is empty or lies outside the video."""
    last = to_frame if to_frame is not None else from_frame
    if from_frame > last or (num_frames is not None and last >= num_frames):
        upper = "the last" if num_frames is None else num_frames - 1
        raise InvalidInputError(
            f"expected 0 <= from_frame <= to_frame <= {upper}, got {from_frame} to {to_frame}; "
            "frames count from 0 in the order they are shown",
            errors=[FieldError(loc=["from_frame"], msg=f"must be a frame from 0 to {upper}")],
        )


async def remove_object(gateway: Gateway, spec: SessionSpec, object_id: int) -> None:
    """Forget an object from the next step on."""
    await gateway.store.append(spec, RemoveObject(object_id=object_id))


async def end_input(gateway: Gateway, spec: SessionSpec) -> None:
    """Say that no more frames will be pushed."""
    if spec.video is not None:
        raise ConflictError("expected input.end in a session with pushed frames, this one reads a stored video")
    await gateway.store.append(spec, InputEnd())
