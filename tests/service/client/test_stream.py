"""The stream against a real websocket server that keeps the contract and drops connections on purpose."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from pydantic import BaseModel
from websockets.asyncio.server import ServerConnection, serve

from univs_service.client import ClientError, ConnectionLostError, EventStream, ProblemError, StreamClosedError
from univs_service.messages import (
    ErrorMessage,
    FrameResultEvent,
    Gap,
    Limits,
    Problem,
    Ready,
    RunDone,
    SessionClosed,
    SessionFailed,
    SessionStatus,
)

LIMITS = Limits(
    max_upload_bytes=1,
    max_frame_pixels=1,
    max_pushed_frame_bytes=1,
    max_objects=1,
    max_prompts=1,
    max_queued_sessions=1,
    max_inflight_frames=4,
    max_window=64,
    session_ttl_s=60,
    results_retention_s=60,
)
PROBLEM = Problem(type="about:blank", title="Refused", status=422, detail="expected a, got b", code="invalid_prompt")


def result(seq: int) -> FrameResultEvent:
    return FrameResultEvent(
        seq=seq,
        run_id=1,
        frame_index=seq - 1,
        pts=seq,
        time_base="1/25",
        size=(4, 4),
        weights="nano",
        objects=[],
    )


def whole_run(num_frames: int) -> list[BaseModel]:
    return [
        *(result(seq) for seq in range(1, num_frames + 1)),
        RunDone(seq=num_frames + 1, run_id=1, reason="end", num_frames=num_frames),
    ]


@dataclass
class Service:
    """Replays events after `last_seq`; breaks the connection off after `break_after` of them."""

    events: list[BaseModel]
    break_after: int | None = None
    resend_from: int = 0
    gap: Gap | None = None
    refuse_with: int | None = None
    url: str = ""
    hellos: list[int] = field(default_factory=list)
    acks: list[int] = field(default_factory=list)
    pushed: list[list[int]] = field(default_factory=list)

    async def serve_socket(self, socket: ServerConnection) -> None:
        hello = json.loads(await socket.recv())
        self.hellos.append(hello["last_seq"])
        self.pushed.append([])
        if self.refuse_with is not None:
            await socket.send(ErrorMessage(problem=PROBLEM).model_dump_json())
            await socket.close(self.refuse_with)
            return
        ready = Ready(
            session_id="s",
            status=SessionStatus.RUNNING,
            model="nano",
            weights=None,
            next_seq=hello["last_seq"] + 1,
            resend_from=self.resend_from,
            gap=self.gap,
            limits=LIMITS,
        )
        await socket.send(ready.model_dump_json())
        for sent, event in enumerate(self.events[hello["last_seq"] :]):
            if sent == self.break_after:
                socket.transport.abort()
                return
            await socket.send(event.model_dump_json())
        async for message in socket:
            self._take(message)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.pushed[-1].append(int.from_bytes(message[8:16], "little"))
        else:
            fields = json.loads(message)
            if fields["type"] == "ack":
                self.acks.append(fields["seq"])


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[Service]:
    async with serve(service.serve_socket, "127.0.0.1", 0) as server:
        host, port = next(iter(server.sockets)).getsockname()[:2]
        service.url = f"ws://{host}:{port}/v1/sessions/s/stream"
        yield service


async def sequence_numbers(stream: EventStream) -> list[int]:
    async with stream:
        return [event.seq async for event in stream]


async def test_every_event_comes_once_and_in_order_over_drops() -> None:
    async with running(Service(whole_run(7), break_after=3)) as service:
        seqs = await sequence_numbers(EventStream(service.url))

    assert seqs == list(range(1, 9))
    assert service.hellos == [0, 3, 6]


async def test_stream_goes_on_after_the_last_event_held() -> None:
    async with running(Service(whole_run(5))) as service:
        seqs = await sequence_numbers(EventStream(service.url, last_seq=4))

    assert seqs == [5, 6]


async def test_until_closed_reads_past_the_end_of_a_run() -> None:
    events = [*whole_run(1), SessionClosed(seq=3, reason="client", final_seq=3)]
    async with running(Service(events)) as service:
        short = await sequence_numbers(EventStream(service.url))
        long = await sequence_numbers(EventStream(service.url, until_closed=True))

    assert (short, long) == ([1, 2], [1, 2, 3])


async def test_run_that_a_correction_supersedes_is_not_the_end() -> None:
    events = [RunDone(seq=1, run_id=1, reason="superseded", num_frames=0), *whole_run(2)[1:]]
    async with running(Service(events)) as service:
        assert await sequence_numbers(EventStream(service.url)) == [1, 2, 3]


async def test_run_that_another_one_follows_is_not_the_end() -> None:
    events = [RunDone(seq=1, run_id=1, reason="end", num_frames=0, is_followed=True), *whole_run(2)[1:]]
    async with running(Service(events)) as service:
        assert await sequence_numbers(EventStream(service.url)) == [1, 2, 3]


async def test_failed_session_raises_its_problem() -> None:
    async with running(Service([result(1), SessionFailed(seq=2, problem=PROBLEM)])) as service:
        stream = EventStream(service.url)
        assert (await anext(stream)).seq == 1
        with pytest.raises(ProblemError, match="expected a, got b") as caught:
            await anext(stream)
        await stream.aclose()

    assert (caught.value.code, caught.value.status) == ("invalid_prompt", 422)


async def test_refusal_is_not_tried_again() -> None:
    async with running(Service([], refuse_with=4404)) as service:
        with pytest.raises(ProblemError, match="expected a, got b"):
            await anext(EventStream(service.url))

    assert service.hellos == [0]


async def test_events_of_a_newer_service_are_passed_over() -> None:
    class ObjectBorn(BaseModel):
        seq: int
        type: str = "object.born"

    async with running(Service([ObjectBorn(seq=1), *whole_run(2)[1:]])) as service:
        assert await sequence_numbers(EventStream(service.url)) == [2, 3]


async def test_gap_is_said_once_and_iterating_goes_on() -> None:
    async with running(Service(whole_run(3), gap=Gap(from_seq=1, to_seq=2))) as service:
        stream = EventStream(service.url, last_seq=2)
        with pytest.raises(ClientError, match="events 1 to 2"):
            await anext(stream)
        assert await sequence_numbers(stream) == [3, 4]


async def test_events_are_acknowledged_by_half_windows() -> None:
    async with running(Service(whole_run(8))) as service:
        await sequence_numbers(EventStream(service.url, window=4))

    assert service.acks == [2, 4, 6, 8]


async def test_unanswered_frames_are_pushed_again_from_where_they_are_needed() -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    async with running(Service([], resend_from=1)) as service:
        stream = EventStream(service.url)
        for frame_index in range(3):
            await stream.push_frame(frame_index, image)
        service.events = whole_run(3)
        connection = stream._connection
        assert connection is not None
        connection.transport.abort()
        await connection.wait_closed()
        await stream.end_input()
        assert await sequence_numbers(stream) == [1, 2, 3, 4]

    assert service.hellos == [0, 0]
    assert service.pushed[1] == [1, 2]


async def test_closing_a_stream_ends_the_iteration_that_waits() -> None:
    async with running(Service([result(1)])) as service:
        stream = EventStream(service.url)
        assert (await anext(stream)).seq == 1
        waiting = asyncio.create_task(anext(stream, None))
        await asyncio.sleep(0)
        await stream.aclose()
        assert await waiting is None
        with pytest.raises(StreamClosedError, match="open another one"):
            await stream.end_input()

    assert service.hellos == [0]


async def test_service_that_stays_away_is_said_with_where_to_go_on() -> None:
    async with running(Service([])) as service:
        url = service.url

    with pytest.raises(ConnectionLostError, match="last_seq=5"):
        await anext(EventStream(url, last_seq=5, retry_for_s=0.05))
