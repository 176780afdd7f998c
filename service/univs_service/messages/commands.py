"""What the gateway tells the worker, in the order of a session's log."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from univs_service.messages.base import Incoming, Problem
from univs_service.messages.following import Spread
from univs_service.messages.prompts import PromptIn
from univs_service.messages.tasks import Wish


class AddPrompt(Incoming):
    """A prompt enters the session's log."""

    type: Literal["prompt.add"] = "prompt.add"
    prompt: PromptIn


class Configure(Wish):
    """Ask for other tasks, and look for more categories, from the next frame on.

    Names are added to those that are looked for; a name that is looked for already stays as it is. Without `task` the
    tasks stay as they are.
    """

    type: Literal["config"] = "config"
    config_id: str | None = Field(default=None, max_length=64, description="client-made; repeats are ignored")


class RemoveObject(Incoming):
    """Forget an object from the next step on."""

    type: Literal["object.remove"] = "object.remove"
    object_id: int = Field(ge=1)


class Propagate(Incoming):
    """Run from a frame to a frame, inclusive.

    Forward, None means where the session stands, and the end. Backward, `from_frame` is the higher of the two, and None
    means the last frame with a prompt, and the session's first frame.
    """

    type: Literal["propagate"] = "propagate"
    from_frame: int | None = Field(default=None, ge=0)
    to_frame: int | None = Field(default=None, ge=0)
    direction: Spread = Field(default="forward", description="both: forward first; it takes no `to_frame`")
    object_ids: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None, min_length=1, max_length=1024, description="backward: of these objects alone"
    )

    @model_validator(mode="after")
    def _is_possible(self) -> "Propagate":
        if self.direction == "both" and self.to_frame is not None:
            raise ValueError("expected no to_frame where direction is both: it cannot bound both; send two of them")
        if self.direction == "forward" and self.object_ids is not None:
            raise ValueError("expected object_ids only with backward: a run forward follows every object")
        return self


PictureEncoding: TypeAlias = Literal["png", "webp", "jpeg"]
FrameEncoding: TypeAlias = Literal["raw"] | PictureEncoding


class PushFrame(Incoming):
    """A pushed frame lies in the session's spool folder under `name`."""

    type: Literal["frame.push"] = "frame.push"
    frame_index: int = Field(ge=0)
    pts: int
    name: str
    encoding: FrameEncoding


class RefuseFrame(Incoming):
    """A frame was pushed that cannot be used: it takes its number and gets an error instead of a result."""

    type: Literal["frame.refuse"] = "frame.refuse"
    frame_index: int = Field(ge=0)
    problem: Problem


class DropFrame(Incoming):
    """A frame came when there was no room for it: it takes its number and is dropped."""

    type: Literal["frame.drop"] = "frame.drop"
    frame_index: int = Field(ge=0)
    reason: str


FrameCommand: TypeAlias = Annotated[PushFrame | RefuseFrame | DropFrame, Field(discriminator="type")]


class InputEnd(Incoming):
    """No more frames will be pushed."""

    type: Literal["input.end"] = "input.end"


class CameraLost(Incoming):
    """A camera gives no frames any more; the service tries to reach it again."""

    type: Literal["camera.lost"] = "camera.lost"
    problem: Problem


class CameraBack(Incoming):
    """A camera gives frames again, from this one on."""

    type: Literal["camera.back"] = "camera.back"
    frame_index: int = Field(ge=0)


class CameraGone(Incoming):
    """A camera was away for too long: no more frames will come of it."""

    type: Literal["camera.gone"] = "camera.gone"
    problem: Problem


CameraCommand: TypeAlias = CameraLost | CameraBack | CameraGone


class CloseSession(Incoming):
    """Stop and free everything but the results."""

    type: Literal["close"] = "close"
    reason: Literal["client", "expired"] = "client"


Command: TypeAlias = Annotated[
    AddPrompt
    | Configure
    | RemoveObject
    | Propagate
    | PushFrame
    | RefuseFrame
    | DropFrame
    | CameraLost
    | CameraBack
    | CameraGone
    | InputEnd
    | CloseSession,
    Field(discriminator="type"),
]
