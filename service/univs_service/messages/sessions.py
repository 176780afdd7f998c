"""Videos, sessions, and where they stand."""

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from univs_service.messages.base import Incoming, Outgoing, Problem
from univs_service.messages.following import Following
from univs_service.messages.prompts import PromptIn
from univs_service.messages.tasks import Task, Wish


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
    when_full: Literal["wait", "drop"] = Field(
        default="wait",
        description="what becomes of a frame while `max_inflight_frames` have no result: the sender waits, or it is "
        "answered by `frame.dropped` with reason `overload`",
    )


class RtspSource(Incoming):
    """A camera that the service connects to, where the operator allows it."""

    kind: Literal["rtsp"]
    url: str = Field(
        max_length=2048, repr=False, description="rtsp:// or rtsps://; a password in it is shown to nobody"
    )
    retry_for_s: float = Field(
        default=30.0, ge=0, le=3600, description="how long a lost camera is waited for; 0: its end is the session's"
    )


Source: TypeAlias = Annotated[VideoSource | PushSource | RtspSource, Field(discriminator="kind")]


class SessionIn(Wish, Following):
    """Body of `POST /v1/sessions`."""

    source: Source
    model: str | None = Field(default=None, description="name of the weights; the service's default when left out")
    prompts: list[PromptIn] = Field(default_factory=list, max_length=1024)
    from_frame: int = Field(default=0, ge=0)
    to_frame: int | None = Field(default=None, ge=0, description="last frame, inclusive; the end when left out")
    auto_start: bool = Field(
        default=True, description="start once prompts or categories are there; else wait for `propagate`"
    )


class VideoIn(Incoming):
    """Body of `POST /v1/videos` as JSON: where the service fetches the video, where the operator allows it."""

    url: str = Field(max_length=4096, description="http(s)://... or s3://bucket/key")


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
    is_still: bool = False  # one picture: JPEG, PNG or WebP


class Weights(Outgoing):
    """Which weights answer."""

    name: str
    sha256: str | None
    is_trained: bool  # False: random values, every mask is meaningless
    note: str
    trained_for: list[Literal["visual", "expression", "category"]] = Field(
        default_factory=list, description="kinds of prompts; answers to others mean nothing"
    )


class Session(Outgoing):
    """State of a session."""

    session_id: str
    status: SessionStatus
    source: Source
    model: str
    task: list[Task] = Field(default_factory=list)  # as the session was made; `config.applied` tells of changes
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
