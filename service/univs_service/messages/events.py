"""What the worker tells the client. `seq` is per session, starts at 1 and has no holes."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from univs_service.messages.base import Outgoing, Problem, RleMask
from univs_service.messages.following import Direction
from univs_service.messages.tasks import Task


class ObjectResult(Outgoing):
    """The answer for one object in one frame: one that was prompted, or an entity that was found by its category.

    Both share one row of ids. An entity has a `category_id`, a `label` and `revision` 0.
    """

    object_id: int
    score: float
    presence: float
    state: Literal["visible", "occluded", "lost"]
    area: int
    area_fraction: float
    bbox: tuple[int, int, int, int]  # x, y, width, height
    label: str | None = None
    category_id: int | None = None  # in the vocabulary: that of its data set, or places of a list, from 1
    is_thing: bool | None = None  # of an entity's category
    revision: int
    mask: RleMask


class SegmentResult(Outgoing):
    """One region of a picture that is divided among segments."""

    id: int  # in a panoptic map the same for a thing, or a category of stuff, in all frames; never used again
    object_id: int | None = None  # the entity it is; None for stuff, and for pixels of a category
    category_id: int
    label: str
    is_thing: bool
    score: float
    area: int
    area_fraction: float
    bbox: tuple[int, int, int, int]  # x, y, width, height
    mask: RleMask  # masks of one map never overlap


class SegmentMapResult(Outgoing):
    """A picture divided among segments; pixels of none of them are void."""

    segments_info: list[SegmentResult]  # in ascending id


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
    direction: Direction = "forward"  # of the run; one backward speaks of the objects in it, and of no other
    warning: str | None = None  # why this answer means nothing, or little
    objects: list[ObjectResult]
    semantic: SegmentMapResult | None = None  # one segment for each category, where `vss` is asked for
    panoptic: SegmentMapResult | None = None  # one for each thing and each category of stuff, for `vps`


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


class ObjectRemoved(Event):
    """An object is gone from a frame on; results of it that were given for later frames count no more."""

    type: Literal["object.removed"] = "object.removed"
    object_id: int
    frame_index: int


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


class ConfigApplied(Event):
    """From which frame on a configuration counts, and what is asked for from there on."""

    type: Literal["config.applied"] = "config.applied"
    config_id: str | None
    frame_index: int
    task: list[Task]
    num_names: int  # that are looked for, those that were looked for before included
    warning: str | None = None  # why answers will mean nothing, or little


class ConfigRefused(Event):
    """A configuration that could not be used; the session goes on as before."""

    type: Literal["config.refused"] = "config.refused"
    config_id: str | None
    problem: Problem


class RunDone(Event):
    """A run has reached its last frame."""

    type: Literal["run.done"] = "run.done"
    run_id: int
    reason: Literal[
        "end", "to_frame", "closed", "damaged", "superseded", "source_lost"
    ]  # superseded: a new run took over
    num_frames: int
    direction: Direction = "forward"
    is_followed: bool = False  # another run begins right after it


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
    | ObjectRemoved
    | ConfigApplied
    | ConfigRefused
    | RunDone
    | InputLost
    | InputBack
    | SessionFailed
    | SessionClosed,
    Field(discriminator="type"),
]
