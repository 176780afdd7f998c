"""The websocket of a session: replay, credit, commands, pushed frames, and a reason before every close."""

import asyncio
import json
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from univs_service.embedded import EmbeddedValkey
from univs_service.settings import Settings
from univs_service.store import paths

WIDTH, HEIGHT = 64, 48


async def receive(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 10))
    return message


async def receive_bytes(socket: ClientConnection, count: int) -> list[bytes]:
    return [str(await asyncio.wait_for(socket.recv(), 10)).encode() for _ in range(count)]


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def check_close(socket: ClientConnection, code: int, problem_code: str) -> dict[str, Any]:
    """The error comes first, then the close."""
    message = await receive(socket)
    assert (message["type"], message["problem"]["code"]) == ("error", problem_code)
    assert "expected" in message["problem"]["detail"]
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(socket.recv(), 10)
    assert socket.close_code == code
    return message


def frame_message(frame_index: int, payload: bytes, encoding: str = "raw", **changes: int) -> bytes:
    header = json.dumps({"encoding": encoding}).encode()
    fields = {"version": 1, "kind": 1, "flags": 0, "header_bytes": len(header)} | changes
    return struct.pack("<BBHIQ", *fields.values(), frame_index) + header + payload


RAW = bytes(range(256)) * (3 * WIDTH * HEIGHT // 256)


def png(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    file = BytesIO()
    Image.fromarray(np.zeros((height, width, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


# --- events out -------------------------------------------------------------------------------------------------


async def test_events_come_in_order_and_the_socket_closes_after_the_last(service: Any, clip: Path, worker: Any) -> None:
    session_id = await service.start(await service.upload(clip))
    async with service.connect(session_id) as socket:
        ready = await service.hello(socket)
        assert socket.subprotocol == "univs.v1+json"
        assert (ready["type"], ready["next_seq"], ready["gap"], ready["status"]) == ("ready", 1, None, "queued")
        claim = worker.claim()
        events = [worker.frame(claim, index) for index in range(5)]
        events.append(worker.finish(claim))
        assert await receive_bytes(socket, 6) == events
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1000


async def test_a_client_that_comes_back_gets_the_rest_byte_by_byte(service: Any, clip: Path, worker: Any) -> None:
    session_id = await service.start(await service.upload(clip))
    claim = worker.claim()
    events = [worker.frame(claim, index) for index in range(6)]
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        first = await receive_bytes(socket, 3)
    events.append(worker.finish(claim))
    async with service.connect(session_id) as socket:
        ready = await service.hello(socket, last_seq=3)
        assert ready["next_seq"] == 4
        rest = await receive_bytes(socket, 4)
    assert first + rest == events


async def test_replay_reaches_back_to_what_only_the_disk_holds(service: Any, clip: Path, make_worker: Any) -> None:
    worker = make_worker(results_maxlen=1)
    session_id = await service.start(await service.upload(clip))
    claim = worker.claim()
    events = [worker.frame(claim, index) for index in range(300)]
    async with service.connect(session_id) as socket:
        ready = await service.hello(socket, last_seq=2, window=1024)
        assert ready["gap"] is None
        assert await receive_bytes(socket, 298) == events[2:]


async def test_what_nobody_holds_any_more_is_named_as_a_gap(service: Any, clip: Path, make_worker: Any) -> None:
    worker = make_worker(results_maxlen=1)
    session_id = await service.start(await service.upload(clip))
    claim = worker.claim()
    events = [worker.frame(claim, index) for index in range(300)]
    paths.results_file(service.settings.data_dir, session_id).unlink()
    async with service.connect(session_id) as socket:
        ready = await service.hello(socket, last_seq=2, window=1024)
        assert ready["gap"] == {"from_seq": 3, "to_seq": ready["next_seq"] - 1}
        rest = events[ready["next_seq"] - 1 :]
        assert await receive_bytes(socket, len(rest)) == rest


async def test_a_client_that_holds_more_than_redis_kept_gets_only_what_is_new(
    service: Any, clip: Path, worker: Any
) -> None:
    session_id = await service.start(await service.upload(clip))
    claim = worker.claim()
    async with service.connect(session_id) as socket:
        await service.hello(socket, last_seq=2)
        events = [worker.frame(claim, index) for index in range(4)]
        assert await receive_bytes(socket, 2) == events[2:]


async def test_any_gateway_serves_any_session_and_coming_back_often_loses_nothing(
    make_service: Any, settings: Settings, clip: Path, worker: Any
) -> None:
    services = [await make_service(settings) for _ in range(2)]
    session_id = await services[0].start(await services[0].upload(clip))
    claim = worker.claim()
    events: list[bytes] = []
    received: list[bytes] = []
    for turn, count in enumerate((1, 5, 2, 7, 3)):
        events += [worker.frame(claim, len(events)) for _ in range(count)]
        async with services[turn % 2].connect(session_id) as socket:
            await services[turn % 2].hello(socket, last_seq=len(received))
            received += await receive_bytes(socket, max(1, count - 1))
    events.append(worker.finish(claim))
    async with services[0].connect(session_id) as socket:
        await services[0].hello(socket, last_seq=len(received))
        received += await receive_bytes(socket, len(events) - len(received))
    assert received == events


async def test_a_client_that_reads_nothing_holds_up_nobody(service: Any, clip: Path, worker: Any) -> None:
    video_id = await service.upload(clip)
    slow_id, quick_id = await service.start(video_id), await service.start(video_id)
    claims = {claim.spec.session_id: claim for claim in (worker.claim(), worker.claim())}
    async with service.connect(slow_id, max_queue=1) as slow, service.connect(quick_id) as quick:
        await service.hello(slow, window=1024)
        await service.hello(quick, window=1024)
        worker.seq = 0
        for index in range(100):
            worker.frame(claims[slow_id], index, text="x" * 100_000)
        worker.seq = 0
        events = [worker.frame(claims[quick_id], index) for index in range(100)]
        assert await receive_bytes(quick, 100) == events
        worker.seq = 100
        worker.finish(claims[slow_id])
    assert (await service.http.get(f"/v1/sessions/{slow_id}")).json()["status"] == "done"


async def test_no_more_than_the_window_is_sent_without_an_ack(service: Any, clip: Path, worker: Any) -> None:
    session_id = await service.start(await service.upload(clip))
    claim = worker.claim()
    events = [worker.frame(claim, index) for index in range(10)]
    async with service.connect(session_id) as socket:
        await service.hello(socket, window=3)
        assert await receive_bytes(socket, 3) == events[:3]
        await say(socket, type="ping", t=1.5)
        assert await receive(socket) == {"type": "pong", "t": 1.5}
        await say(socket, type="ack", seq=2)
        assert await receive_bytes(socket, 2) == events[3:5]
        await say(socket, type="ack", seq=5)
        assert await receive_bytes(socket, 3) == events[5:8]


async def test_a_newer_connection_takes_over(service: Any, clip: Path, worker: Any) -> None:
    session_id = await service.start(await service.upload(clip))
    claim = worker.claim()
    async with service.connect(session_id) as old, service.connect(session_id) as new:
        await service.hello(old)
        await service.hello(new)
        await check_close(old, 4409, "superseded")
        event = worker.frame(claim, 0)
        assert await receive_bytes(new, 1) == [event]


async def test_a_session_runs_to_its_end_with_no_socket(service: Any, clip: Path, worker: Any) -> None:
    session_id = await service.start(await service.upload(clip))
    async with service.connect(session_id) as socket:
        await service.hello(socket)
    claim = worker.claim()
    events = [worker.frame(claim, 0), worker.finish(claim)]
    assert (await service.http.get(f"/v1/sessions/{session_id}")).json()["status"] == "done"
    async with service.connect(session_id) as socket:
        assert (await service.hello(socket))["status"] == "done"
        assert await receive_bytes(socket, 2) == events


# --- why a socket closes ----------------------------------------------------------------------------------------


async def test_an_unknown_session_is_said_before_the_close(service: Any) -> None:
    async with service.connect("none") as socket:
        await say(socket, type="hello")
        await check_close(socket, 4404, "unknown_session")


@pytest.mark.parametrize(
    "first",
    ["{", "[]", "{}", '{"type": "sing"}', '{"type": "ping"}', b"\x01\x01\x00\x00"],
    ids=["syntax", "list", "no type", "unknown type", "not hello", "binary"],
)
async def test_what_is_no_hello_closes_with_4400(service: Any, first: str | bytes) -> None:
    async with service.connect("any") as socket:
        await socket.send(first)
        await check_close(socket, 4400, "bad_message")


async def test_a_hello_with_unknown_fields_is_refused(service: Any) -> None:
    async with service.connect("any") as socket:
        await say(socket, type="hello", lastseq=3)
        message = await check_close(socket, 4422, "invalid_input")
        assert message["problem"]["errors"][0]["loc"] == ["hello", "lastseq"]


async def test_a_silent_client_is_closed(make_service: Any, settings: Settings) -> None:
    service = await make_service(settings.model_copy(update={"hello_timeout_s": 0.1}))
    async with service.connect("any") as socket:
        await check_close(socket, 4408, "hello_timeout")


async def test_a_page_of_another_origin_is_closed(service: Any) -> None:
    async with service.connect("any", origin="https://elsewhere.example") as socket:
        await check_close(socket, 1008, "forbidden_origin")


async def test_an_ack_of_what_was_not_sent_is_refused(service: Any, clip: Path) -> None:
    session_id = await service.start(await service.upload(clip))
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        await say(socket, type="ack", seq=1)
        await check_close(socket, 4400, "bad_message")


async def test_a_lost_store_closes_with_try_again_and_the_client_can(
    service: Any, clip: Path, worker: Any, valkey: EmbeddedValkey
) -> None:
    session_id = await service.start(await service.upload(clip))
    claim = worker.claim()
    event = worker.frame(claim, 0)
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        assert await receive_bytes(socket, 1) == [event]
        valkey.stop()
        message = await check_close(socket, 1013, "store_unavailable")
        assert message["problem"]["retryable"] and message["problem"]["retry_after_ms"] > 0
    valkey.start()
    async with service.connect(session_id) as socket:
        assert (await service.hello(socket, last_seq=1))["next_seq"] == 2


# --- commands in ------------------------------------------------------------------------------------------------


async def test_commands_of_a_socket_enter_the_log(service: Any, clip: Path, worker: Any) -> None:
    session_id = await service.start(await service.upload(clip), prompts=[], auto_start=False)
    worker.claim()
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        await say(socket, type="prompt.add", prompt_id="p", object_id=1, box=[4, 4, 20, 20])
        await say(socket, type="prompt.add", prompt_id="p", object_id=1, box=[4, 4, 20, 20])
        await say(socket, type="object.remove", object_id=1)
        await say(socket, type="propagate", from_frame=0, to_frame=3)
        await say(socket, type="close")
        await say(socket, type="ping")
        assert (await receive(socket))["type"] == "pong"
    types = [entry.command.type for entry in worker.store.read_commands(session_id)]
    assert types == ["prompt.add", "object.remove", "propagate", "close"]


async def test_a_wrong_prompt_is_named_and_the_socket_stays_open(service: Any, clip: Path, worker: Any) -> None:
    worker.beat()
    session_id = await service.start(await service.upload(clip))
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        for fields, code in (
            ({"box": [4, 4, 99, 20]}, "prompt_out_of_range"),
            ({"box": [4, 4, 2, 20]}, "invalid_input"),
            ({"box": [4, 4, 20, 20], "colour": 1}, "invalid_input"),
            ({"text": "the dog"}, "unsupported_prompt"),
        ):
            await say(socket, type="prompt.add", prompt_id="wrong", object_id=1, **fields)
            message = await receive(socket)
            assert (message["type"], message["prompt_id"]) == ("error", "wrong")
            assert message["problem"]["code"] == code
        await say(socket, type="ping")
        assert (await receive(socket))["type"] == "pong"


async def test_a_number_of_five_thousand_digits_breaks_nothing(service: Any, clip: Path) -> None:
    session_id = await service.start(await service.upload(clip))
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        await socket.send('{"type": "object.remove", "object_id": %s}' % ("9" * 5000))
        await check_close(socket, 4400, "bad_message")


async def test_a_client_that_only_errs_is_closed(service: Any, clip: Path) -> None:
    session_id = await service.start(await service.upload(clip))
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        for _ in range(16):
            await say(socket, type="propagate", from_frame=99)
        messages = [await receive(socket) for _ in range(15)]
        assert {message["problem"]["code"] for message in messages} == {"invalid_input"}
        await check_close(socket, 4422, "invalid_input")


async def test_input_end_is_not_for_stored_videos(service: Any, clip: Path) -> None:
    session_id = await service.start(await service.upload(clip))
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        await say(socket, type="input.end")
        assert (await receive(socket))["problem"]["code"] == "conflict"


# --- frames in --------------------------------------------------------------------------------------------------


async def test_pushed_frames_are_spooled_whole_and_in_order(service: Any, worker: Any) -> None:
    session_id = await service.start_push()
    async with service.connect(session_id) as socket:
        assert (await service.hello(socket))["resend_from"] == 0
        await socket.send(frame_message(0, RAW))
        await socket.send(frame_message(1, png(), "png"))
        await socket.send(frame_message(0, RAW))
        await say(socket, type="input.end")
        await say(socket, type="ping")
        assert (await receive(socket))["type"] == "pong"
    commands = [entry.command for entry in worker.store.read_commands(session_id)]
    assert [command.type for command in commands] == ["propagate", "frame.push", "frame.push", "input.end"]
    assert [(command.frame_index, command.pts, command.encoding) for command in commands[1:3]] == [
        (0, 0, "raw"),
        (1, 3000, "png"),
    ]
    folder = paths.frames_folder(service.settings.data_dir, session_id)
    assert [(folder / command.name).read_bytes() for command in commands[1:3]] == [RAW, png()]
    assert len(list(folder.iterdir())) == 2
    async with service.connect(session_id) as socket:
        assert (await service.hello(socket))["resend_from"] == 2


@pytest.mark.parametrize(
    ("message", "close_code", "code"),
    [
        (b"\x01", 4400, "bad_message"),
        (frame_message(0, RAW, version=2), 4400, "bad_message"),
        (frame_message(0, RAW, header_bytes=2**31), 4400, "bad_message"),
        (frame_message(0, RAW, "gif"), 4400, "bad_message"),
        (frame_message(1, RAW), 4400, "frame_out_of_order"),
    ],
    ids=["short", "version", "header", "encoding", "order"],
)
async def test_a_message_that_is_no_next_frame_closes_with_a_reason(
    service: Any, message: bytes, close_code: int, code: str
) -> None:
    session_id = await service.start_push()
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        await socket.send(message)
        await check_close(socket, close_code, code)
    assert not paths.frames_folder(service.settings.data_dir, session_id).exists()


async def test_a_frame_of_wrong_bytes_is_refused_by_its_number_and_the_next_is_taken(service: Any, worker: Any) -> None:
    session_id = await service.start_push()
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        for frame_index, message in enumerate((RAW, RAW[:-1], b"0" * 200_000, RAW)):
            await socket.send(frame_message(frame_index, message))
        await socket.send(frame_message(4, b"0" * 200_000, "jpeg"))
        await say(socket, type="ping")
        assert (await receive(socket))["type"] == "pong"
    commands = [entry.command for entry in worker.store.read_commands(session_id)][1:]
    assert [(command.type, command.frame_index) for command in commands] == [
        ("frame.push", 0),
        ("frame.refuse", 1),
        ("frame.refuse", 2),
        ("frame.push", 3),
        ("frame.refuse", 4),
    ]
    assert [commands[index].problem.code for index in (1, 2, 4)] == ["bad_frame", "bad_frame", "frame_too_large"]
    folder = paths.frames_folder(service.settings.data_dir, session_id)
    assert sorted(file.name for file in folder.iterdir()) == ["000000000.raw", "000000003.raw"]


async def test_frames_beyond_the_room_are_dropped_where_the_session_wants_it(
    make_service: Any, settings: Settings, worker: Any
) -> None:
    service = await make_service(settings.model_copy(update={"max_inflight_frames": 2}))
    source = {"kind": "push", "width": WIDTH, "height": HEIGHT, "when_full": "drop"}
    session_id = await service.start_push(source=source)
    claim = worker.claim()
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        for frame_index in range(4):
            await socket.send(frame_message(frame_index, RAW))
        await say(socket, type="ping")
        assert (await receive(socket))["type"] == "pong"
        worker.frame(claim, 2)  # frames before it have an event too
        await receive(socket)
        await socket.send(frame_message(4, RAW))
        await say(socket, type="ping")
        assert (await receive(socket))["type"] == "pong"
    commands = [entry.command for entry in worker.store.read_commands(session_id)][1:]
    assert [command.type for command in commands] == [
        "frame.push", "frame.push", "frame.drop", "frame.drop", "frame.push"
    ]  # fmt: skip


async def test_frames_of_a_session_that_no_worker_has_seen_are_dropped_when_it_is_closed(service: Any) -> None:
    session_id = await service.start_push()
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        for frame_index in range(3):
            await socket.send(frame_message(frame_index, RAW))
        await say(socket, type="close")
        events = [await receive(socket) for _ in range(4)]
    assert [event["seq"] for event in events] == [1, 2, 3, 4]
    assert [event["type"] for event in events] == [*["frame.dropped"] * 3, "session.closed"]
    assert [(event["frame_index"], event["reason"]) for event in events[:3]] == [
        (0, "closed"),
        (1, "closed"),
        (2, "closed"),
    ]
    assert events[3]["final_seq"] == 4


async def test_frames_wait_for_room_and_go_on_with_the_results(
    make_service: Any, settings: Settings, worker: Any
) -> None:
    service = await make_service(settings.model_copy(update={"max_inflight_frames": 2}))
    session_id = await service.start_push()
    claim = worker.claim()
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        for frame_index in range(3):
            await socket.send(frame_message(frame_index, RAW))
        worker.frame(claim, 0)
        await receive(socket)
        await say(socket, type="ping")
        assert (await receive(socket))["type"] == "pong"
    types = [entry.command.type for entry in worker.store.read_commands(session_id)]
    assert types.count("frame.push") == 3


async def test_a_binary_message_in_a_session_on_a_video_is_refused(service: Any, clip: Path) -> None:
    session_id = await service.start(await service.upload(clip))
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        await socket.send(frame_message(0, RAW))
        await check_close(socket, 4400, "bad_message")
