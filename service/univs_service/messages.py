"""What travels: requests, commands to the worker, events to the client.

Coordinates are pixels of the displayed frame. Everything a client sends is strict (unknown fields are
refused); everything it receives may grow new fields.
"""

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator


class Incoming(BaseModel):
    """Base of what a client may send: frozen, and a field we do not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Outgoing(BaseModel):
    """Base of what we send: frozen."""

    model_config = ConfigDict(frozen=True)


# --- masks --------------------------------------------------------------------------------------------------


class RleMask(BaseModel):
    """COCO compressed run-length encoding: column-major, first run zeros, `counts` always a string."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: tuple[int, int]  # height, width
    counts: str


# --- prompts ------------------------------------------------------------------------------------------------


class PromptIn(Incoming):
    """One prompt on one object. Exactly one of points, box, mask, scribble, text is given."""

    prompt_id: str | None = Field(default=None, max_length=64, description="client-made; repeats are ignored")
    object_id: int = Field(ge=1, le=2**31 - 1)
    frame_index: int = Field(default=0, ge=0)
    points: list[tuple[FiniteFloat, FiniteFloat, Literal[0, 1]]] | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="[x, y, label]; label 1 lies on the object, 0 off it",
    )
    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None = Field(
        default=None, description="x0, y0, x1, y1"
    )
    mask: RleMask | None = None
    scribble: list[tuple[FiniteFloat, FiniteFloat]] | None = Field(default=None, min_length=2, max_length=4096)
    text: str | None = Field(default=None, min_length=1, max_length=512)

    @model_validator(mode="after")
    def _exactly_one(self) -> "PromptIn":
        given = [name for name in ("points", "box", "mask", "scribble", "text") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of points, box, mask, scribble, text; got {given or 'none'}")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError(f"box must be x0, y0, x1, y1 with x0 < x1 and y0 < y1, got {self.box}")
        return self


# --- sessions -----------------------------------------------------------------------------------------------


class SessionStatus(StrEnum):
    """Life of a session."""

    QUEUED = "queued"  # admitted, no worker yet
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CLOSED = "closed"  # by its client, or expired


class VideoSource(Incoming):
    """A stored video."""

    kind: Literal["video"] = "video"
    video_id: str = Field(max_length=80)


class PushSource(Incoming):
    """Frames that the client pushes on the websocket."""

    kind: Literal["push"]
    width: int = Field(ge=1, le=16384)
    height: int = Field(ge=1, le=16384)
    fps: float = Field(default=30.0, gt=0, le=1000)


Source: TypeAlias = Annotated[VideoSource | PushSource, Field(discriminator="kind")]


class SessionIn(Incoming):
    """Body of `POST /v1/sessions`."""

    source: Source
    model: str | None = Field(default=None, description="name of the weights; the service's default when left out")
    prompts: list[PromptIn] = Field(default_factory=list, max_length=1024)
    from_frame: int = Field(default=0, ge=0)
    to_frame: int | None = Field(default=None, ge=0, description="last frame, inclusive; the end when left out")
    auto_start: bool = Field(default=True, description="start once prompts are there; else wait for `propagate`")


class Video(Outgoing):
    """A stored video."""

    video_id: str
    sha256: str
    size_bytes: int
    width: int
    height: int
    num_frames: int | None  # None when the container does not say and it was not counted
    frame_rate: str | None  # rational, "30000/1001"
    duration_s: float | None
    rotation: int
    created_at: float


class Weights(Outgoing):
    """Which weights answer."""

    name: str
    sha256: str | None
    is_trained: bool  # False: random values, every mask is meaningless
    note: str


class Session(Outgoing):
    """State of a session."""

    session_id: str
    status: SessionStatus
    source: Source
    model: str
    weights: Weights | None  # None until a worker has claimed the session
    next_frame: int
    num_frames: int | None
    last_seq: int
    num_objects: int
    ws_url: str
    results_url: str
    created_at: float
    expires_at: float | None
    problem: "Problem | None" = None


# --- errors -------------------------------------------------------------------------------------------------


class FieldError(Outgoing):
    """One field that was wrong."""

    loc: list[str | int]
    msg: str


class Problem(Outgoing):
    """RFC 9457 problem details; the same object inside a websocket `error`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    code: str
    retryable: bool = False
    retry_after_ms: int | None = None
    errors: list[FieldError] = Field(default_factory=list)


# --- commands: gateway to worker, in the order of the session's log -----------------------------------------


class AddPrompt(Incoming):
    """A prompt enters the session's log."""

    type: Literal["prompt.add"] = "prompt.add"
    prompt: PromptIn


class RemoveObject(Incoming):
    """Forget an object from the next step on."""

    type: Literal["object.remove"] = "object.remove"
    object_id: int = Field(ge=1)


class Propagate(Incoming):
    """Run from a frame to a frame, inclusive; None means where the session stands, and the end."""

    type: Literal["propagate"] = "propagate"
    from_frame: int | None = Field(default=None, ge=0)
    to_frame: int | None = Field(default=None, ge=0)


class PushFrame(Incoming):
    """A pushed frame lies in the session's spool folder under `name`."""

    type: Literal["frame.push"] = "frame.push"
    frame_index: int = Field(ge=0)
    pts: int
    name: str
    encoding: Literal["png", "raw"]


class InputEnd(Incoming):
    """No more frames will be pushed."""

    type: Literal["input.end"] = "input.end"


class CloseSession(Incoming):
    """Stop and free everything but the results."""

    type: Literal["close"] = "close"
    reason: Literal["client", "expired"] = "client"


Command: TypeAlias = Annotated[
    AddPrompt | RemoveObject | Propagate | PushFrame | InputEnd | CloseSession, Field(discriminator="type")
]


# --- events: worker to client; `seq` is per session, starts at 1 and has no holes ---------------------------


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
    reason: Literal["end", "to_frame", "closed", "damaged", "superseded"]  # superseded: a new run took over
    num_frames: int


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
    | SessionFailed
    | SessionClosed,
    Field(discriminator="type"),
]


# --- websocket: what only the socket knows; commands and events travel on it too ----------------------------


class Hello(Incoming):
    """First message of a client: from which event on to replay, and how many may go unacknowledged."""

    type: Literal["hello"]
    last_seq: int = Field(default=0, ge=0, description="the last event the client holds; replay starts after it")
    window: int = Field(default=32, ge=1, le=1024, description="events that may be sent and not yet acknowledged")


class PromptAdd(PromptIn):
    """A prompt on the socket: the fields of a prompt beside `type`."""

    type: Literal["prompt.add"]

    def to_prompt(self) -> PromptIn:
        """Give the prompt without its envelope."""
        return PromptIn.model_validate(self.model_dump(exclude={"type"}))


class Ack(Incoming):
    """Every event up to and including `seq` has arrived."""

    type: Literal["ack"]
    seq: int = Field(ge=0)


class Ping(Incoming):
    """Ask for a `pong` that carries the same `t`; keeps a session alive as any message does."""

    type: Literal["ping"]
    t: float = 0.0


ClientMessage: TypeAlias = Annotated[
    Hello | PromptAdd | RemoveObject | Propagate | InputEnd | Ack | Ping | CloseSession,
    Field(discriminator="type"),
]


class FrameHeader(Incoming):
    """JSON header of a pushed frame, after `<BBHIQ`: version 1, kind 1, flags 0, header length, frame."""

    encoding: Literal["png", "raw"]  # raw: rgb24, rows from the top, no padding
    pts: int | None = None  # in units of 1/90000 s; frame_index / fps when left out


class Gap(Outgoing):
    """Events that can no longer be replayed, both ends inclusive."""

    from_seq: int
    to_seq: int


class Limits(Outgoing):
    """What the service accepts; also `GET /v1/limits`."""

    max_upload_bytes: int
    max_frame_pixels: int
    max_pushed_frame_bytes: int
    max_objects: int
    max_prompts: int
    max_queued_sessions: int
    max_inflight_frames: int
    max_window: int
    session_ttl_s: float
    results_retention_s: float


class Ready(Outgoing):
    """First message of the server: the session is attached to this socket."""

    type: Literal["ready"] = "ready"
    session_id: str
    status: SessionStatus
    model: str
    weights: Weights | None
    next_seq: int  # of the first event that follows
    resend_from: int  # first frame that the service does not hold yet (push sessions)
    gap: Gap | None
    limits: Limits


class Pong(Outgoing):
    """Answer to `ping`."""

    type: Literal["pong"] = "pong"
    t: float


class ErrorMessage(Outgoing):
    """A problem of this connection; it has no `seq`, unlike the event `error` that ends a session."""

    type: Literal["error"] = "error"
    problem: Problem
    prompt_id: str | None = None  # the prompt that was refused, where one was


# --- models and workers -------------------------------------------------------------------------------------

PromptKind: TypeAlias = Literal["points", "box", "mask", "scribble", "text"]


class ModelInfo(Outgoing):
    """Weights that a worker has loaded, and which prompts they can serve."""

    name: str
    weights: Weights
    prompts: list[PromptKind]


class WorkerInfo(Outgoing):
    """Heartbeat of a worker."""

    worker_id: str
    is_ready: bool
    reason: str = ""  # why it is not ready
    models: list[ModelInfo]
    num_sessions: int
    max_sessions: int
    device: str
    started_at: float
