"""A user uploads a video with a prompt, and masks come back frame by frame."""

import io
import json
import struct
from typing import Any

import pytest
from PIL import Image


def masks(events: list[dict[str, Any]]) -> dict[int, list[tuple[int, str]]]:
    """RLE by frame and object; each frame may come only once."""
    found: dict[int, list[tuple[int, str]]] = {}
    for event in events:
        if event["type"] == "frame.result":
            assert event["frame_index"] not in found, "a frame came twice"
            found[event["frame_index"]] = [(each["object_id"], each["mask"]["counts"]) for each in event["objects"]]
    return found


def test_one_request_brings_a_mask_for_every_frame(running_service: Any, make_clip: Any, make_box: Any) -> None:
    session = running_service.start_session(make_clip(20), [make_box()])
    events = running_service.events(session["session_id"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert list(masks(events)) == list(range(20))
    results = [event for event in events if event["type"] == "frame.result"]
    assert all(event["size"] == [48, 64] and event["weights"] == "untrained" for event in results)
    assert all([each["object_id"] for each in event["objects"]] == [1] for event in results)
    assert [event["type"] for event in events[-2:]] == ["run.done", "session.closed"]
    assert running_service.http.get(f"/v1/sessions/{session['session_id']}").json()["status"] == "done"


def test_a_session_runs_to_its_end_with_no_socket_open(running_service: Any, make_clip: Any, make_box: Any) -> None:
    session = running_service.start_session(make_clip(20), [make_box(), make_box(object_id=5, frame_index=7)])
    ended = running_service.wait_until_ended(session["session_id"])
    assert ended["status"] == "done"
    assert ended["weights"]["is_trained"] is False
    events = running_service.results(session["session_id"])
    assert list(masks(events)) == list(range(20))
    assert events == running_service.events(session["session_id"])


def test_a_stored_video_serves_several_sessions(running_service: Any, make_clip: Any, make_box: Any) -> None:
    with make_clip(12).open("rb") as file:
        video = running_service.http.post("/v1/videos", files={"video": file}).json()
    found = []
    for _ in range(2):
        body = {"source": {"kind": "video", "video_id": video["video_id"]}, "prompts": [make_box()]}
        session = running_service.http.post("/v1/sessions", json=body).json()
        found.append(masks(running_service.events(session["session_id"])))
    assert list(found[0]) == list(range(12))
    assert found[0] == found[1]


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_pushed_frames_give_the_masks_of_the_file(
    running_service: Any, make_clip: Any, make_box: Any, make_pictures: Any, read_events: Any, encoding: str
) -> None:
    stored = running_service.start_session(make_clip(40), [make_box()])
    body = {"source": {"kind": "push", "width": 64, "height": 48, "fps": 10}, "prompts": [make_box()]}
    session = running_service.http.post("/v1/sessions", json=body).json()
    with running_service.socket(session["session_id"]) as socket:
        for index, picture in enumerate(make_pictures(40)):
            socket.send(push_message(index, picture, encoding))
        socket.send(json.dumps({"type": "input.end"}))
        pushed = list(read_events(socket))
    assert list(masks(pushed)) == list(range(40))
    assert masks(pushed) == masks(running_service.events(stored["session_id"]))


def test_a_prompt_on_the_way_counts_from_its_frame_on(
    running_service: Any, make_clip: Any, make_box: Any, read_events: Any
) -> None:
    session = running_service.start_session(make_clip(60), [make_box()])
    with running_service.socket(session["session_id"]) as socket:
        prompt = make_box(object_id=2, frame_index=55) | {"prompt_id": "second"}
        socket.send(json.dumps({"type": "prompt.add", **prompt}))
        events = list(read_events(socket))
    assert "second" in {event.get("prompt_id") for event in events if event["type"] == "prompt.applied"}
    last = masks([event for event in events if event.get("run_id", 1) == 1])
    assert [object_id for object_id, _ in last[59]] == [1, 2]
    assert [object_id for object_id, _ in last[54]] == [1]


def test_the_service_says_what_it_is(running_service: Any) -> None:
    http = running_service.http
    assert http.get("/healthz").status_code == 200
    assert http.get("/readyz").status_code == 200
    assert http.get("/docs").status_code == 200
    assert "univs_sessions_created_total" in http.get("/metrics").text
    (model,) = http.get("/v1/models").json()["models"]
    assert model["weights"]["is_trained"] is False
    assert "untrained" in running_service.ready_text
    assert f"{running_service.url}/docs" in running_service.ready_text


def push_message(index: int, picture: Any, encoding: str) -> bytes:
    """The binary envelope of a pushed frame."""
    header = json.dumps({"encoding": encoding}).encode()
    payload: bytes = picture.tobytes()
    if encoding == "png":
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        payload = buffer.getvalue()
    return struct.pack("<BBHIQ", 1, 1, 0, len(header), index) + header + payload
