"""What travels: requests, commands to the worker, events to the client.

Coordinates are pixels of the displayed frame. Everything a client sends is strict (unknown fields are
refused); everything it receives may grow new fields.
"""

from univs_service.messages.base import (
    FieldError,
    Incoming,
    Outgoing,
    Problem,
    RleMask,
)
from univs_service.messages.commands import (
    AddPrompt,
    CloseSession,
    Command,
    InputEnd,
    Propagate,
    PushFrame,
    RemoveObject,
)
from univs_service.messages.events import (
    Event,
    FrameDropped,
    FrameError,
    FrameResultEvent,
    ObjectResult,
    PromptApplied,
    PromptRefused,
    RunDone,
    SessionClosed,
    SessionFailed,
    StreamEvent,
)
from univs_service.messages.info import (
    Limits,
    ModelInfo,
    WorkerInfo,
)
from univs_service.messages.prompts import (
    PromptIn,
    PromptKind,
)
from univs_service.messages.sessions import (
    PushSource,
    Session,
    SessionIn,
    SessionStatus,
    Source,
    Video,
    VideoSource,
    Weights,
)
from univs_service.messages.socket import (
    Ack,
    ClientMessage,
    ErrorMessage,
    FrameHeader,
    Gap,
    Hello,
    Ping,
    Pong,
    PromptAdd,
    Ready,
)

__all__ = [
    "Ack",
    "AddPrompt",
    "ClientMessage",
    "CloseSession",
    "Command",
    "ErrorMessage",
    "Event",
    "FieldError",
    "FrameDropped",
    "FrameError",
    "FrameHeader",
    "FrameResultEvent",
    "Gap",
    "Hello",
    "Incoming",
    "InputEnd",
    "Limits",
    "ModelInfo",
    "ObjectResult",
    "Outgoing",
    "Ping",
    "Pong",
    "Problem",
    "PromptAdd",
    "PromptApplied",
    "PromptIn",
    "PromptKind",
    "PromptRefused",
    "Propagate",
    "PushFrame",
    "PushSource",
    "Ready",
    "RemoveObject",
    "RleMask",
    "RunDone",
    "Session",
    "SessionClosed",
    "SessionFailed",
    "SessionIn",
    "SessionStatus",
    "Source",
    "StreamEvent",
    "Video",
    "VideoSource",
    "Weights",
    "WorkerInfo",
]
