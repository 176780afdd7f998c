"""What a client says of an object."""

from typing import Literal, TypeAlias

from pydantic import Field, FiniteFloat, model_validator

from univs_service.messages.base import Incoming, RleMask
from univs_service.messages.following import Spread
from univs_service.messages.tasks import CategoryName


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
    stuff: CategoryName | None = Field(
        default=None,
        description="the object is stuff (sky, road) of this category of the session's `stuff_vocabulary`: weights run "
        "as published label its pixels",
    )
    direction: Spread = Field(
        default="forward",
        description="where the object is followed from this frame: towards the end, towards the beginning, or both; "
        "backward only in stored videos",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "PromptIn":
        given = [name for name in ("points", "box", "mask", "scribble", "text") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of points, box, mask, scribble, text; got {given or 'none'}")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError(f"box must be x0, y0, x1, y1 with x0 < x1 and y0 < y1, got {self.box}")
        return self


PromptKind: TypeAlias = Literal["points", "box", "mask", "scribble", "text"]
