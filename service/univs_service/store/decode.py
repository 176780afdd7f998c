"""From what Redis holds to records. Both stores use it."""

from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import TypeAdapter

from univs_service.messages import Command, Problem, SessionStatus, Weights
from univs_service.store.records import LoggedCommand, SessionSpec, SessionState

COMMAND: TypeAdapter[Command] = TypeAdapter(Command)

Entries = Sequence[tuple[bytes, Mapping[bytes, bytes]]]


def fields_of(reply: object) -> Mapping[bytes, bytes]:
    """Give the reply of HGETALL its type: redis-py's own covers every option of a client."""
    assert isinstance(reply, dict), reply
    return cast(Mapping[bytes, bytes], reply)


def entries_of(reply: object) -> Entries:
    """Give the reply of XRANGE its type, for the same reason."""
    assert isinstance(reply, list), reply
    return cast(Entries, reply)


def session_state(fields: Mapping[bytes, bytes], waits_until_ms: float | None = None) -> SessionState:
    """Read a session's hash; `waits_until_ms` is its score in the set of waiting sessions."""
    number = {
        name: int(fields[name.encode()])
        for name in (
            "epoch",
            "takeovers",
            "next_push",
            "num_prompts",
            "last_seq",
            "next_frame",
            "num_objects",
        )
    }
    weights, problem = fields.get(b"weights"), fields.get(b"problem")
    return SessionState(
        spec=SessionSpec.model_validate_json(fields[b"spec"]),
        status=SessionStatus(fields[b"status"].decode()),
        owner=fields[b"owner"].decode(),
        is_started=fields[b"is_started"] == b"1",
        is_input_ended=fields[b"is_input_ended"] == b"1",
        weights=Weights.model_validate_json(weights) if weights else None,
        problem=Problem.model_validate_json(problem) if problem else None,
        connections=int(fields[b"connections"]),
        expires_at=None if waits_until_ms is None else waits_until_ms / 1000,
        **number,
    )


def commands(entries: Entries) -> list[LoggedCommand]:
    """Read entries of a session's log."""
    return [
        LoggedCommand(log_id=log_id.decode(), command=COMMAND.validate_json(fields[b"c"])) for log_id, fields in entries
    ]


def events(entries: Entries) -> list[tuple[int, bytes]]:
    """Read entries of a session's out stream: seq and JSON, as published."""
    return [(int(entry_id.split(b"-")[0]), fields[b"e"]) for entry_id, fields in entries]
