"""Bad input gets a problem that says what was expected, what came and what to do; the service goes on."""

import json
from typing import Any

import httpx
import pytest


def check_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert "expected" in problem["detail"] and ("got" in problem["detail"] or "but" in problem["detail"])
    assert problem["type"] and problem["title"]


@pytest.fixture(autouse=True)
def _still_serves(running_service: Any, make_clip: Any, make_box: Any) -> Any:
    yield
    session = running_service.start_session(make_clip(3, name="good.mkv"), [make_box()])
    assert [e["type"] for e in running_service.events(session["session_id"])].count("frame.result") == 3


def post(service: Any, data: bytes, prompts: list[dict[str, Any]], **options: Any) -> httpx.Response:
    answer: httpx.Response = service.http.post(
        "/v1/sessions",
        files={
            "video": ("clip.mkv", data, "video/x-matroska"),
            "prompts": (None, json.dumps(prompts)),
            "options": (None, json.dumps(options)),
        },
    )
    return answer


def test_a_file_that_is_no_video(running_service: Any, make_box: Any) -> None:
    check_problem(post(running_service, b"these are words\n" * 500, [make_box()]), 415, "not_a_video")


def test_an_empty_file(running_service: Any, make_box: Any) -> None:
    answer = post(running_service, b"", [make_box()])
    assert answer.status_code in {415, 422}
    check_problem(answer, answer.status_code, answer.json()["code"])


def test_a_video_without_its_index(running_service: Any, make_clip: Any, make_box: Any) -> None:
    data = make_clip(60, name="clip.mp4", codec="mpeg4", pixel_format="yuv420p").read_bytes()
    answer = post(running_service, data[: len(data) // 2], [make_box()])
    assert answer.status_code in {415, 422}
    check_problem(answer, answer.status_code, answer.json()["code"])


def test_a_video_without_frames(running_service: Any, make_clip: Any, make_box: Any) -> None:
    data = make_clip(0).read_bytes()
    answer = post(running_service, data, [make_box()])
    assert answer.status_code in {415, 422}
    check_problem(answer, answer.status_code, answer.json()["code"])


def test_a_video_that_breaks_off_gives_what_it_has(running_service: Any, make_clip: Any, make_box: Any) -> None:
    data = make_clip(60).read_bytes()
    answer = post(running_service, data[: len(data) // 2], [make_box()])
    if answer.status_code != 201:
        check_problem(answer, 422, "damaged_video")
        return
    events = running_service.events(answer.json()["session_id"])
    frames = [event["frame_index"] for event in events if event["type"] == "frame.result"]
    assert frames == list(range(len(frames)))
    assert 0 < len(frames) < 60
    (broken,) = [event for event in events if event["type"] == "frame.error"]
    assert broken["problem"]["code"] == "damaged_video"
    assert [event["reason"] for event in events if event["type"] == "run.done"] == ["damaged"]


def test_a_prompt_outside_the_frame(running_service: Any, make_clip: Any) -> None:
    prompt = {"object_id": 1, "box": [10, 10, 500, 30]}
    check_problem(post(running_service, make_clip(3).read_bytes(), [prompt]), 422, "prompt_out_of_range")


def test_a_prompt_beyond_the_last_frame(running_service: Any, make_clip: Any, make_box: Any) -> None:
    answer = post(running_service, make_clip(3).read_bytes(), [make_box() | {"frame_index": 3}])
    check_problem(answer, 422, "prompt_out_of_range")


def test_a_text_prompt_that_the_weights_cannot_serve(running_service: Any, make_clip: Any) -> None:
    prompt = {"object_id": 1, "text": "the square"}
    check_problem(post(running_service, make_clip(3).read_bytes(), [prompt]), 422, "unsupported_prompt")


def test_a_model_that_nobody_has(running_service: Any, make_clip: Any, make_box: Any) -> None:
    answer = post(running_service, make_clip(3).read_bytes(), [make_box()], model="giant")
    check_problem(answer, 422, "unknown_model")


def test_an_unknown_session(running_service: Any) -> None:
    check_problem(running_service.http.get("/v1/sessions/none"), 404, "unknown_session")
    check_problem(running_service.http.get("/v1/sessions/none/results"), 404, "unknown_session")


def test_an_oversized_upload(running_service: Any, make_box: Any) -> None:
    check_problem(post(running_service, b"\0" * 2_100_000, [make_box()]), 413, "upload_too_large")


def test_a_field_that_nobody_knows(running_service: Any, make_clip: Any, make_box: Any) -> None:
    answer = post(running_service, make_clip(3).read_bytes(), [make_box() | {"colour": "red"}])
    check_problem(answer, 422, "invalid_input")
