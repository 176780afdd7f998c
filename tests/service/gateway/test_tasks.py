"""What is asked of a session over HTTP and the websocket: tasks and vocabularies, checked before anything is made."""

import json
from pathlib import Path
from typing import Any

import pytest

from univs_service.messages import Configure

PROMPT = {"object_id": 1, "box": [4, 4, 20, 20]}
NAMES = ["square", {"name": "ground", "is_thing": False}]


async def create(service: Any, clip: Path, **fields: Any) -> Any:
    video_id = await service.upload(clip)
    return await service.http.post("/v1/sessions", json={"source": {"kind": "video", "video_id": video_id}, **fields})


def commands(worker: Any, session_id: str) -> list[Any]:
    return [entry.command for entry in worker.store.read_commands(session_id)]


async def test_a_session_is_made_with_a_task_and_starts_without_prompts(service: Any, clip: Path, worker: Any) -> None:
    worker.beat()
    response = await create(service, clip, task=["vis", "vps"], vocabulary=NAMES)
    assert response.status_code == 201, response.text
    session = response.json()
    assert session["task"] == ["vis", "vps"]
    configure, start = commands(worker, session["session_id"])
    assert (configure.type, start.type) == ("config", "propagate")
    assert [(one.name, one.is_thing) for one in configure.categories] == [("square", True), ("ground", False)]
    assert configure.tasks == ("vis", "vps")


async def test_a_form_carries_task_and_vocabulary(service: Any, clip: Path, worker: Any) -> None:
    worker.beat()
    options = {"task": "vss", "vocabulary": "coco", "to_frame": 3}
    form = {"options": (None, json.dumps(options)), "video": clip.read_bytes()}
    response = await service.http.post("/v1/sessions", files=form)
    assert response.status_code == 201, response.text
    (configure, _) = commands(worker, response.json()["session_id"])
    assert (configure.tasks, configure.vocabulary) == (("vss",), "coco")


async def test_a_session_without_a_task_is_what_it_was(service: Any, clip: Path, worker: Any) -> None:
    worker.beat()
    session = (await create(service, clip, prompts=[PROMPT])).json()
    assert session["task"] == []
    assert [command.type for command in commands(worker, session["session_id"])] == ["prompt.add", "propagate"]


@pytest.mark.parametrize(
    ("fields", "code", "loc"),
    [
        ({"task": "vis"}, "invalid_input", ["vocabulary"]),
        ({"task": "vis", "vocabulary": []}, "invalid_input", ["vocabulary", "list"]),
        ({"task": "vis", "vocabulary": ["dog", "dog"]}, "invalid_input", []),
        ({"task": "vis", "vocabulary": ["dog", " "]}, "invalid_input", ["vocabulary", "list", 1, "name"]),
        ({"task": "vis", "vocabulary": [f"n{n}" for n in range(2049)]}, "invalid_input", ["vocabulary", "list"]),
        ({"task": "vis", "vocabulary": [{"name": "dog", "thing": True}]}, "invalid_input", None),
        ({"task": "vis", "vocabulary": "klingon"}, "unknown_vocabulary", ["vocabulary"]),
        ({"task": "vis", "vocabulary": "../coco"}, "invalid_input", ["vocabulary", "name"]),
        ({"vocabulary": "coco"}, "invalid_input", ["task"]),
        ({"task": "vos", "vocabulary": "coco"}, "invalid_input", ["task"]),
        ({"task": "everything", "vocabulary": "coco"}, "invalid_input", ["task", "name"]),
        ({"task": ["vis", "vis"], "vocabulary": "coco"}, "invalid_input", []),
        ({"task": [], "vocabulary": "coco"}, "invalid_input", ["task", "list"]),
        ({"task": "refvos"}, "unsupported_task", ["task"]),
    ],
)
async def test_bad_wishes_are_refused_by_name(
    service: Any, clip: Path, worker: Any, fields: dict[str, Any], code: str, loc: list[str | int] | None
) -> None:
    worker.beat()
    response = await create(service, clip, **fields)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert "expected" in problem["detail"]
    if loc is not None:
        assert loc == problem["errors"][0]["loc"]
    assert worker.store.claim("small", worker.weights) is None


async def test_a_bad_form_is_refused_as_well(service: Any, clip: Path, worker: Any) -> None:
    worker.beat()
    form = {"options": (None, json.dumps({"task": "vis", "vocabulary": ["a", "a"]})), "video": clip.read_bytes()}
    response = await service.http.post("/v1/sessions", files=form)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_input"), response.text


async def test_a_running_session_is_asked_for_something_else_once(service: Any, clip: Path, worker: Any) -> None:
    worker.beat()
    session_id = (await create(service, clip, prompts=[PROMPT])).json()["session_id"]
    path = f"/v1/sessions/{session_id}/config"
    without_names = await service.http.post(path, json={"task": "vis"})
    assert (without_names.status_code, without_names.json()["errors"][0]["loc"]) == (422, ["vocabulary"])
    wish = {"task": "vis", "vocabulary": ["dog"], "config_id": "mine"}
    first, again = [(await service.http.post(path, json=wish)).json() for _ in range(2)]
    assert (first["config_id"], first["is_repeat"], again["is_repeat"]) == ("mine", False, True)
    changed = await service.http.post(path, json=wish | {"task": "vps"})
    assert (changed.status_code, changed.json()["code"]) == (409, "prompt_conflict")
    with_names = await service.http.post(path, json={"task": "vps"})
    assert with_names.status_code == 202  # the names are known by now
    assert (await service.http.post(path, json={})).status_code == 422
    assert (await service.http.post(path, json={"vocabulary": "klingon"})).json()["code"] == "unknown_vocabulary"
    sent = [command for command in commands(worker, session_id) if isinstance(command, Configure)]
    assert [command.tasks for command in sent] == [("vis",), ("vps",)]


async def test_the_websocket_takes_a_configuration_and_tells_what_is_wrong_with_one(
    service: Any, clip: Path, worker: Any
) -> None:
    worker.beat()
    session_id = (await create(service, clip, auto_start=True)).json()["session_id"]
    assert commands(worker, session_id) == []  # nothing to do yet
    async with service.connect(session_id) as socket:
        await service.hello(socket)
        await socket.send(json.dumps({"type": "config", "task": "vss"}))
        problem = json.loads(await socket.recv())["problem"]
        assert (problem["status"], problem["errors"][0]["loc"]) == (422, ["vocabulary"])
        await socket.send(json.dumps({"type": "config", "task": "vss", "vocabulary": ["sky"]}))
        await socket.send(json.dumps({"type": "ping", "t": 1.0}))
        assert json.loads(await socket.recv()) == {"type": "pong", "t": 1.0}
    assert [command.type for command in commands(worker, session_id)] == ["config", "propagate"]
