"""The Python client and the commands that use it, against the service as a user starts it."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from univs_service.cli.main import app
from univs_service.client import AsyncUniVSClient, ProblemError, UniVSClient, box, decode_mask, mask, point, spread
from univs_service.exports import ResultsDocument
from univs_service.messages import Following, FrameResultEvent, PromptApplied, PushSource, RunDone, StreamEvent


def masks(events: list[StreamEvent]) -> dict[int, list[tuple[int, str]]]:
    """RLE by frame and object."""
    return {
        event.frame_index: [(each.object_id, each.mask.counts) for each in event.objects]
        for event in events
        if isinstance(event, FrameResultEvent)
    }


async def test_upload_prompt_stream_results_delete(running_service: Any, make_clip: Any) -> None:
    clip = make_clip(15)
    told: list[tuple[int, int]] = []
    async with AsyncUniVSClient(running_service.url) as client:
        video = await client.upload(clip, lambda sent, total: told.append((sent, total)))
        session = await client.create_session(video, [box(1, 4, 16, 20, 32), point(2, 50, 40, frame_index=6)])
        events = [event async for event in client.stream(session, until_closed=True)]
        again = [event async for event in client.results(session)]
        await client.delete(session)
        await client.delete(session)
        state = await client.session(session)
        with pytest.raises(ProblemError, match="expected the id of a session") as caught:
            await client.session("nobody")

    assert video.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert told[-1] == (clip.stat().st_size, clip.stat().st_size)
    assert list(masks(events)) == list(range(15))
    assert again == events
    assert (state.status, state.num_objects) == ("done", 2)
    assert caught.value.status == 404


def test_synchronous_client_takes_a_path_and_gives_the_same_events(running_service: Any, make_clip: Any) -> None:
    clip = make_clip(8)
    found = []
    with UniVSClient(running_service.url) as client:
        assert client.is_ready()
        for _ in range(2):
            session = client.create_session(clip, [box(1, 4, 16, 20, 32)])
            found.append(masks(list(client.stream(session))))
            assert masks(list(client.results(session))) == found[-1]
            client.delete(session)

    assert list(found[0]) == list(range(8))
    assert found[0] == found[1]


async def test_dropped_connections_lose_and_repeat_nothing(running_service: Any, make_clip: Any) -> None:
    events: list[StreamEvent] = []
    async with AsyncUniVSClient(running_service.url) as client:
        session = await client.create_session(make_clip(30), [box(1, 4, 16, 20, 32)])
        stream = client.stream(session, until_closed=True)
        async for event in stream:
            events.append(event)
            if event.seq % 7 == 0 and stream._connection is not None:
                stream._connection.transport.abort()
        whole = [event async for event in client.results(session)]

    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events == whole


def test_pushed_frames_get_a_result_each(running_service: Any, make_pictures: Any) -> None:
    pictures = make_pictures(6)
    inside = (pictures[0] > 100).any(axis=-1)
    with UniVSClient(running_service.url) as client:
        session = client.create_session(PushSource(kind="push", width=64, height=48), [mask(1, inside)])
        with client.stream(session) as stream:
            events = []
            for frame_index, picture in enumerate(pictures):
                stream.push_frame(frame_index, picture)
                events.append(next(stream))
            stream.end_input()
            events += stream

    assert list(masks(events)) == list(range(6))
    first = next(event for event in events if isinstance(event, FrameResultEvent))
    assert (decode_mask(first.objects[0].mask) == inside).all()


async def test_prompt_added_later_is_applied(running_service: Any, make_clip: Any) -> None:
    async with AsyncUniVSClient(running_service.url) as client:
        session = await client.create_session(make_clip(10), [box(1, 4, 16, 20, 32)], auto_start=False)
        await client.add_prompt(session, added := point(9, 30, 20, frame_index=4))
        await client.propagate(session)
        events = [event async for event in client.stream(session)]

    applied = [event for event in events if isinstance(event, PromptApplied)]
    assert (added.prompt_id, 4) in {(event.prompt_id, event.frame_index) for event in applied}
    assert [object_id for object_id, _ in masks(events)[5]] == [1, 9]
    assert isinstance(events[-1], RunDone)


async def test_an_object_is_followed_both_ways_and_refined_backward(running_service: Any, make_clip: Any) -> None:
    async with AsyncUniVSClient(running_service.url) as client:
        prompts = [spread(box(1, 4, 16, 20, 32, frame_index=6), "both")]
        session = await client.create_session(
            make_clip(10), prompts, auto_start=False, following=Following(isolation="strict")
        )
        await client.propagate(session)
        events = [event async for event in client.stream(session)]
        await client.add_prompt(session, spread(box(1, 5, 16, 21, 32, frame_index=3), "backward"))
        events += [event async for event in client.stream(session, last_seq=events[-1].seq)]
        live = PushSource(kind="push", width=64, height=48)
        with pytest.raises(ProblemError, match="are not kept"):
            await client.create_session(live, [spread(box(1, 4, 16, 20, 32), "both")])

    done = [(event.direction, event.num_frames, event.is_followed) for event in events if isinstance(event, RunDone)]
    assert done == [("forward", 10, True), ("backward", 6, False), ("backward", 4, False)]
    newest: dict[int, int] = {}
    for event in events:
        if isinstance(event, FrameResultEvent) and event.objects:
            newest[event.frame_index] = event.objects[0].revision
    assert newest == {index: 2 if index <= 3 else 1 for index in range(10)}


def test_segment_gives_the_same_masks_in_process_and_from_the_service(
    running_service: Any, make_clip: Any, tmp_path: Path
) -> None:
    clip = make_clip(10)
    documents = []
    for name, place in (
        ("local", ["--model", "tiny", "--short-side", "64", "--threads", "1"]),
        ("service", ["--url", running_service.url]),
    ):
        target = tmp_path / f"{name}.json"
        options = ["--box", "1:4,16,20,32", "--point", "2:50,40@3", "-o", str(target), *place]
        result = CliRunner().invoke(app, ["segment", str(clip), *options])
        assert result.exit_code == 0, result.output
        documents.append(ResultsDocument.model_validate_json(target.read_text()))

    local, remote = documents
    assert local.num_frames == remote.num_frames == 10
    assert [frame.objects for frame in local.frames] == [frame.objects for frame in remote.frames]
    assert [(frame.pts, frame.time_base) for frame in local.frames] == [
        (frame.pts, frame.time_base) for frame in remote.frames
    ]


def test_refusals_reach_the_command_line(running_service: Any, make_clip: Any, tmp_path: Path) -> None:
    def segment(*options: str) -> str:
        result = CliRunner().invoke(
            app, ["segment", *options, "--url", running_service.url, "-o", str(tmp_path / "out")]
        )
        assert result.exit_code == 1
        return result.output

    (tmp_path / "notes.txt").write_text("no video")
    assert "not_a_video" in segment(str(tmp_path / "notes.txt"), "--box", "4,4,20,20")
    assert "prompt_out_of_range" in segment(str(make_clip(4)), "--box", "4,4,200,20")
    assert "unsupported_prompt" in segment(str(make_clip(4)), "--text", "1:a square")
    assert not (tmp_path / "out").exists()


def test_demo_needs_no_file_and_tells_how_right_the_masks_are(running_service: Any, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--url", running_service.url, "-o", str(tmp_path / "demo")])

    assert result.exit_code == 0, result.output
    assert "IoU with the known truth" in result.output
    assert "these masks mean nothing" in result.output
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["clip.mp4", "overlay.mp4", "results.json"]
    document = ResultsDocument.model_validate_json((tmp_path / "demo" / "results.json").read_text())
    assert document.num_frames == 48
