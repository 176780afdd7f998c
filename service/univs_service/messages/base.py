"""What every message shares, and the parts that several of them carry."""

from pydantic import BaseModel, ConfigDict, Field


class Incoming(BaseModel):
    """Base of what a client may send: frozen, and a field we do not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Outgoing(BaseModel):
    """Base of what we send: frozen."""

    model_config = ConfigDict(frozen=True)


class RleMask(BaseModel):
    """COCO compressed run-length encoding: column-major, first run zeros, `counts` always a string."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: tuple[int, int]  # height, width
    counts: str


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
