"""What the stores keep and hand out, besides the messages of the wire."""

from pydantic import BaseModel, ConfigDict

from univs_service.messages import Command, Following, Problem, SessionStatus, Source, Task, Video, Weights

ENDED = frozenset({SessionStatus.DONE, SessionStatus.FAILED, SessionStatus.CLOSED})


class SessionSpec(BaseModel):
    """What a session was made with; never changes."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    principal: str
    source: Source
    model: str
    video: Video | None  # None for pushed frames
    frame_width: int
    frame_height: int
    from_frame: int
    to_frame: int | None
    auto_start: bool
    created_at: float
    task: list[Task] = []
    following: Following = Following()


class SessionState(BaseModel):
    """Where a session stands."""

    model_config = ConfigDict(frozen=True)

    spec: SessionSpec
    status: SessionStatus
    owner: str
    epoch: int
    takeovers: int
    is_started: bool
    next_push: int
    is_input_ended: bool
    num_prompts: int
    last_seq: int
    next_frame: int
    num_objects: int
    weights: Weights | None
    problem: Problem | None
    connections: int
    expires_at: float | None

    @property
    def is_ended(self) -> bool:
        """Whether the session takes no more commands."""
        return self.status in ENDED


class LoggedCommand(BaseModel):
    """A command and its place in the session's log."""

    model_config = ConfigDict(frozen=True)

    log_id: str
    command: Command


class Lease(BaseModel):
    """The right to write to a session; every write carries the epoch and is refused once it is stale."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    epoch: int


class Claim(BaseModel):
    """A session that a worker has just taken over."""

    model_config = ConfigDict(frozen=True)

    lease: Lease
    state: SessionState  # as the last owner left it; `state.takeovers` counts claims since the last event

    @property
    def spec(self) -> SessionSpec:
        """Give what the session was made with."""
        return self.state.spec


class Snapshot(BaseModel):
    """A session's memory between two steps, and up to where it accounts for log, events and frames."""

    model_config = ConfigDict(frozen=True)

    next_frame: int  # first frame that is not in it
    log_id: str  # last command that is in it; "0-0" for none
    seq: int  # last event that was published before it
    data: bytes
