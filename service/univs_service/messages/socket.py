"""What only the websocket knows; commands and events travel on it too."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from univs_service.messages.base import Incoming, Outgoing, Problem
from univs_service.messages.commands import (
    CloseSession,
    Configure,
    FrameEncoding,
    InputEnd,
    Propagate,
    RemoveObject,
)
from univs_service.messages.info import Limits
from univs_service.messages.prompts import PromptIn
from univs_service.messages.sessions import SessionStatus, Weights


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
    Hello | PromptAdd | Configure | RemoveObject | Propagate | InputEnd | Ack | Ping | CloseSession,
    Field(discriminator="type"),
]


class FrameHeader(Incoming):
    """JSON header of a pushed frame, after `<BBHIQ`: version 1, kind 1, flags 0, header length, frame."""

    encoding: FrameEncoding  # raw: rgb24, rows from the top, no padding
    pts: int | None = None  # in units of 1/90000 s; frame_index / fps when left out


class Gap(Outgoing):
    """Events that can no longer be replayed, both ends inclusive."""

    from_seq: int
    to_seq: int


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
