"""What the worker tells the client. `seq` is per session, starts at 1 and has no holes."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from univs_service.messages.base import Outgoing, Problem, RleMask


class ObjectResult(Outgoing):
    """The answer for one object in one frame."""

    object_id: int
    score: float
    presence: float
    state: Literal["visible", "occluded", "lost"]
    area: int
    area_fraction: float
    bbox: tuple[int, int, int, int]  # x, y, width, height
    label: str | None = None
    revision: int
    mask: RleMask


class Event(Outgoing):
    """Base of every event."""

    seq: int = Field(ge=1)


class FrameResultEvent(Event):
    """Masks of one frame."""

    type: Literal["frame.result"] = "frame.result"
    run_id: int
    frame_index: int
    pts: int
    time_base: str  # rational, "1/15360"
    size: tuple[int, int]
    weights: str  # "untrained" says that the masks are random
    objects: list[ObjectResult]


class FrameDropped(Event):
    """A frame that gets no result, and why."""

    type: Literal["frame.dropped"] = "frame.dropped"
    run_id: int
    frame_index: int
    reason: str


class FrameError(Event):
    """A frame that could not be segmented, and why."""

    type: Literal["frame.error"] = "frame.error"
    run_id: int
    frame_index: int
    problem: Problem


class PromptApplied(Event):
    """From which frame on a prompt counts."""

    type: Literal["prompt.applied"] = "prompt.applied"
    prompt_id: str | None
    object_id: int
    frame_index: int
    revision: int


class PromptRefused(Event):
    """A prompt that could not be used; the session goes on."""

    type: Literal["prompt.refused"] = "prompt.refused"
    prompt_id: str | None
    object_id: int
    problem: Problem


class RunDone(Event):
    """A run has reached its last frame."""

    type: Literal["run.done"] = "run.done"
    run_id: int
    reason: Literal[
        "end", "to_frame", "closed", "damaged", "superseded", "source_lost"
    ]  # superseded: a new run took over
    num_frames: int


class InputLost(Event):
    """The camera gives no frames any more; it is tried again, and the session waits."""

    type: Literal["input.lost"] = "input.lost"
    problem: Problem


class InputBack(Event):
    """The camera gives frames again, from this one on."""

    type: Literal["input.back"] = "input.back"
    frame_index: int


class SessionFailed(Event):
    """The session cannot go on."""

    type: Literal["error"] = "error"
    problem: Problem


class SessionClosed(Event):
    """The last event of a session."""

    type: Literal["session.closed"] = "session.closed"
    reason: str
    final_seq: int


StreamEvent: TypeAlias = Annotated[
    FrameResultEvent
    | FrameDropped
    | FrameError
    | PromptApplied
    | PromptRefused
    | RunDone
    | InputLost
    | InputBack
    | SessionFailed
    | SessionClosed,
    Field(discriminator="type"),
]
