"""Sessions over HTTP: made, spoken to, read, closed."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from univs_service.embedded import EmbeddedValkey
from univs_service.settings import Settings
from univs_service.store import keys

PROMPT = {"object_id": 1, "box": [4, 4, 20, 20]}


async def test_a_session_waits_for_a_worker_and_says_so(service: Any, clip: Path) -> None:
    video_id = await service.upload(clip)
    response = await service.http.post(
        "/v1/sessions", json={"source": {"kind": "video", "video_id": video_id}, "prompts": [PROMPT]}
    )
    session = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/v1/sessions/{session['session_id']}"
    assert (session["status"], session["num_frames"], session["weights"]) == ("queued", 12, None)
    assert session["ws_url"] == f"ws{service.url[4:]}/v1/sessions/{session['session_id']}/stream"
    assert (await service.http.get(response.headers["location"])).json() == session


async def test_one_form_carries_video_and_prompts(service: Any, clip: Path, worker: Any) -> None:
    form = {
        "prompts": (None, json.dumps([PROMPT, {"object_id": 2, "points": [[30, 30, 1]]}])),
        "options": (None, json.dumps({"to_frame": 5})),
        "video": clip.read_bytes(),
    }
    response = await service.http.post("/v1/sessions", files=form)
    assert response.status_code == 201, response.text
    claim = worker.claim()
    assert claim.spec.session_id == response.json()["session_id"]
    assert claim.spec.to_frame == 5
    commands = [entry.command for entry in worker.store.read_commands(claim.spec.session_id)]
    assert [command.type for command in commands] == ["prompt.add", "prompt.add", "propagate"]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"prompts": [{"object_id": 1, "box": [4, 4, 99, 20]}]}, 422, "prompt_out_of_range"),
        ({"prompts": [{"object_id": 1, "box": [4, 4, 9, 9], "frame_index": 12}]}, 422, "prompt_out_of_range"),
        ({"prompts": [{"object_id": 1}]}, 422, "invalid_input"),
        ({"prompts": [{"object_id": 1, "text": "dog"}]}, 422, "unsupported_prompt"),
        ({"prompts": [{"object_id": n + 1, "box": [4, 4, 9, 9]} for n in range(65)]}, 422, "too_many"),
        ({"prompts": [PROMPT | {"prompt_id": "p"}] * 2}, 409, "prompt_conflict"),
        ({"model": "giant"}, 422, "unknown_model"),
        ({"from_frame": 5, "to_frame": 4}, 422, "invalid_input"),
        ({"to_frame": 12}, 422, "invalid_input"),
        ({"source": {"kind": "video", "video_id": "0" * 64}}, 404, "unknown_video"),
    ],
)
async def test_what_cannot_be_run_is_refused_before_anything_is_made(
    service: Any, clip: Path, worker: Any, fields: dict[str, Any], status: int, code: str
) -> None:
    worker.beat()
    video_id = await service.upload(clip)
    body = {"source": {"kind": "video", "video_id": video_id}, **fields}
    response = await service.http.post("/v1/sessions", json=body)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert "expected" in response.json()["detail"]
    assert worker.store.claim("small", worker.weights) is None


async def test_a_full_queue_is_a_503_that_says_when_to_come_back(
    make_service: Any, settings: Settings, clip: Path
) -> None:
    service = await make_service(settings.model_copy(update={"max_queued_sessions": 1}))
    video_id = await service.upload(clip)
    await service.start(video_id)
    response = await service.http.post("/v1/sessions", json={"source": {"kind": "video", "video_id": video_id}})
    assert (response.status_code, response.json()["code"]) == (503, "overloaded")
    assert response.headers["retry-after"] == "5"


async def test_commands_enter_the_log_in_order_and_prompts_once(service: Any, clip: Path, worker: Any) -> None:
    session_id = await service.start(await service.upload(clip), prompts=[], auto_start=False)
    path = f"/v1/sessions/{session_id}"
    prompt = PROMPT | {"prompt_id": "mine"}
    first = await service.http.post(f"{path}/prompts", json=prompt)
    again = await service.http.post(f"{path}/prompts", json=prompt)
    assert (first.status_code, first.json()["is_repeat"], again.json()["is_repeat"]) == (202, False, True)
    changed = await service.http.post(f"{path}/prompts", json=prompt | {"object_id": 2})
    assert (changed.status_code, changed.json()["code"]) == (409, "prompt_conflict")
    assert (await service.http.delete(f"{path}/objects/1")).status_code == 204
    assert (await service.http.post(f"{path}/propagate")).status_code == 202
    assert (await service.http.post(f"{path}/propagate", json={"from_frame": 3, "to_frame": 12})).status_code == 422
    types = [entry.command.type for entry in worker.store.read_commands(session_id)]
    assert types == ["prompt.add", "object.remove", "propagate"]


async def test_a_prompt_without_an_id_is_given_one(service: Any, clip: Path) -> None:
    session_id = await service.start(await service.upload(clip))
    accepted = (await service.http.post(f"/v1/sessions/{session_id}/prompts", json=PROMPT)).json()
    assert accepted["prompt_id"]


async def test_closing_twice_is_as_good_as_once(service: Any, clip: Path, worker: Any) -> None:
    session_id = await service.start(await service.upload(clip))
    worker.claim()
    for _ in range(2):
        assert (await service.http.delete(f"/v1/sessions/{session_id}")).status_code == 204
    types = [entry.command.type for entry in worker.store.read_commands(session_id)]
    assert types.count("close") == 1


async def test_a_closed_session_takes_no_commands(service: Any, clip: Path) -> None:
    session_id = await service.start(await service.upload(clip))
    for _ in range(2):
        assert (await service.http.delete(f"/v1/sessions/{session_id}")).status_code == 204
    refused = await service.http.post(f"/v1/sessions/{session_id}/prompts", json=PROMPT)
    assert (refused.status_code, refused.json()["code"]) == (410, "session_ended")
    assert (await service.http.get(f"/v1/sessions/{session_id}")).json()["status"] == "closed"


async def test_results_are_the_published_bytes_while_running_and_after(service: Any, clip: Path, worker: Any) -> None:
    session_id = await service.start(await service.upload(clip))
    path = f"/v1/sessions/{session_id}/results"
    assert (await service.http.get(path)).content == b""
    claim = worker.claim()
    events = [worker.frame(claim, index) for index in range(3)]
    running = await service.http.get(path)
    assert running.headers["content-type"] == "application/x-ndjson"
    assert running.content.splitlines() == events
    events.append(worker.finish(claim))
    assert (await service.http.get(path)).content.splitlines() == events
    assert (await service.http.get(path, params={"from_seq": 3})).content.splitlines() == events[2:]
    assert (await service.http.get(path, params={"from_seq": 99})).content == b""


async def test_following_results_ends_with_the_session(service: Any, clip: Path, worker: Any) -> None:
    session_id = await service.start(await service.upload(clip))
    claim = worker.claim()
    events = [worker.frame(claim, 0)]
    lines = []
    async with service.http.stream("GET", f"/v1/sessions/{session_id}/results?follow=true") as response:
        async for line in response.aiter_lines():
            lines.append(line.encode())
            if len(lines) == 1:
                events.append(worker.frame(claim, 1))
                events.append(worker.finish(claim))
    assert lines == events


async def test_results_that_redis_has_trimmed_come_from_the_disk(
    service: Any, clip: Path, make_worker: Any, valkey: EmbeddedValkey
) -> None:
    worker = make_worker(results_maxlen=1)
    session_id = await service.start(await service.upload(clip))
    claim = worker.claim()
    events = [worker.frame(claim, index, text="x" * 1000) for index in range(400)]
    events.append(worker.finish(claim))
    with redis.Redis.from_url(valkey.url) as client:
        assert client.xlen(keys.out(session_id)) < 200
    for from_seq in (1, 2, 350, 401):
        response = await service.http.get(f"/v1/sessions/{session_id}/results", params={"from_seq": from_seq})
        assert response.content.splitlines() == events[from_seq - 1 :]


async def test_a_session_without_its_client_is_closed_unless_it_runs(
    make_service: Any, settings: Settings, clip: Path, worker: Any
) -> None:
    service = await make_service(settings.model_copy(update={"session_ttl_s": 0.4}))
    runs = await service.start(await service.upload(clip))
    pushed = await service.start_push()
    unstarted = await service.start(await service.upload(clip), auto_start=False)
    for session_id in (pushed, unstarted):
        response = await service.http.get(f"/v1/sessions/{session_id}/results?follow=true")
        (event,) = response.content.splitlines()
        assert json.loads(event) == {"seq": 1, "type": "session.closed", "reason": "expired", "final_seq": 1}
        assert (await service.http.get(f"/v1/sessions/{session_id}")).json()["status"] == "closed"
    assert (await service.http.get(f"/v1/sessions/{runs}")).json()["status"] == "queued"
