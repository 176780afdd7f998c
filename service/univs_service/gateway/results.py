"""Route of results: every event of a session as NDJSON, while it runs and after."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from univs_service.errors import InvalidInputError
from univs_service.exports.recorded import RecordedResults
from univs_service.gateway.openapi import PROBLEMS
from univs_service.gateway.sessions import SessionId
from univs_service.gateway.state import PRINCIPAL, Gateway, GatewayDependency
from univs_service.store import paths
from univs_service.store.follow import EventFollower
from univs_service.store.records import SessionState
from univs_service.store.spool import SpoolReader

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=PROBLEMS)
_BATCH = 64
_BLOCK_S = 1.0


@router.get(
    "/{session_id}/results",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}, "description": "One event a line"}},
)
async def get_results(
    session_id: SessionId,
    gateway: GatewayDependency,
    from_seq: Annotated[int, Query(ge=1, description="first event")] = 1,
    follow: Annotated[bool, Query(description="wait for events to come, until the session ends")] = False,
    newest: Annotated[
        bool, Query(description="only what counts so far: one `frame.result` a frame, each object's newest, in order")
    ] = False,
) -> StreamingResponse:
    """Read a session's events, one JSON object a line, the same bytes that the websocket sends."""
    state = await gateway.store.read_state(PRINCIPAL, session_id)
    if newest:
        if follow or from_seq > 1:
            raise InvalidInputError(
                "expected `newest` alone, got `follow` or `from_seq` beside it; it looks at all events so far"
            )
        path = paths.results_file(gateway.settings.data_dir, session_id)
        return StreamingResponse(_newest(path, state.last_seq), media_type="application/x-ndjson")
    follower = make_follower(gateway, session_id, from_seq - 1)
    await follower.find_gap()
    lines = _follow(gateway, follower, session_id) if follow else _read(follower, state)
    return StreamingResponse(lines, media_type="application/x-ndjson")


def _newest(path: Path, last_seq: int) -> Iterator[bytes]:
    """Give the results that count; runs on another thread, where reading the file holds up nobody."""
    for result in RecordedResults(path, last_seq):
        yield result.model_dump_json().encode() + b"\n"


def make_follower(gateway: Gateway, session_id: str, after_seq: int) -> EventFollower:
    """Follow a session's events after a seq."""
    spool = SpoolReader(paths.results_file(gateway.settings.data_dir, session_id))
    return EventFollower(gateway.store, spool, session_id, after_seq)


async def _read(follower: EventFollower, state: SessionState) -> AsyncIterator[bytes]:
    while follower.after_seq < state.last_seq:
        events = await follower.next_events(_BATCH, block_s=0)
        if not events:
            return
        yield _lines([event for event in events if event[0] <= state.last_seq])


async def _follow(gateway: Gateway, follower: EventFollower, session_id: str) -> AsyncIterator[bytes]:
    while True:
        events = await follower.next_events(_BATCH, _BLOCK_S)
        if events:
            yield _lines(events)
            continue
        state = await gateway.store.find_state(session_id)
        if state is None or (state.is_ended and state.last_seq <= follower.after_seq):
            return


def _lines(events: list[tuple[int, bytes]]) -> bytes:
    return b"".join(data + b"\n" for _, data in events)
