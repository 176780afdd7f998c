"""Every failure is a problem that says what was expected, what came and what to do."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import httpx
import pytest

from univs_service.embedded import EmbeddedValkey
from univs_service.errors import every_error
from univs_service.settings import Settings


def check_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"] == f"/problems/{code}"
    assert problem["title"] and "expected" in problem["detail"]
    return problem


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nothing", None, 404, "not_found"),
        ("PUT", "/v1/videos", None, 405, "method_not_allowed"),
        ("GET", "/v1/videos/abc", None, 404, "unknown_video"),
        ("GET", f"/v1/videos/{'0' * 64}", None, 404, "unknown_video"),
        ("GET", f"/v1/videos/{'0' * 64}/frames/0", None, 404, "unknown_video"),
        ("GET", f"/v1/videos/{'0' * 64}/frames/first", None, 422, "invalid_input"),
        ("POST", "/v1/videos", b"plain", 400, "bad_request"),
        ("GET", "/v1/sessions/none", None, 404, "unknown_session"),
        ("DELETE", "/v1/sessions/none", None, 404, "unknown_session"),
        ("GET", "/v1/sessions/none/results", None, 404, "unknown_session"),
        ("GET", "/v1/sessions/none/results?from_seq=0", None, 422, "invalid_input"),
        ("POST", "/v1/sessions/none/prompts", b'{"object_id": 1, "text": "dog"}', 404, "unknown_session"),
        ("POST", "/v1/sessions/none/prompts", b"{", 400, "bad_request"),
        ("POST", "/v1/sessions/none/propagate", b'{"to": 3}', 422, "invalid_input"),
        ("DELETE", "/v1/sessions/none/objects/0", None, 422, "invalid_input"),
        ("POST", "/v1/sessions", b"", 400, "bad_request"),
        ("POST", "/v1/sessions", b"[]", 422, "invalid_input"),
        ("POST", "/v1/sessions", b'{"source": {"kind": "tape"}}', 422, "invalid_input"),
        ("GET", "/problems/none", None, 404, "not_found"),
        ("GET", "/readyz", None, 503, "no_worker"),
    ],
)
async def test_a_failure_is_a_problem(
    service: Any, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    headers = {"content-type": "application/json"} if body is not None else {}
    response = await service.http.request(method, path, content=body, headers=headers)
    check_problem(response, status, code)


async def test_every_problem_type_has_a_page(service: Any) -> None:
    for error in every_error():
        response = await service.http.get(f"/problems/{error.code}")
        assert response.status_code == 200
        assert error.title in response.text and error.code in response.text


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in every_error()]
    assert len(codes) == len(set(codes)) > 30


async def test_wrong_fields_are_named_and_their_values_not_echoed(service: Any) -> None:
    body = {"source": {"kind": "push", "width": "secret", "height": 4}, "colour": "red"}
    problem = check_problem(await service.http.post("/v1/sessions", json=body), 422, "invalid_input")
    assert {tuple(error["loc"]) for error in problem["errors"]} == {("source", "push", "width"), ("colour",)}
    assert "secret" not in json.dumps(problem)


async def test_a_lost_store_is_a_503_and_the_gateway_recovers(service: Any, valkey: EmbeddedValkey) -> None:
    valkey.stop()
    response = await service.http.get("/v1/sessions/any")
    check_problem(response, 503, "store_unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert (await service.http.get("/healthz")).status_code == 200
    assert (await service.http.get("/metrics")).status_code == 200
    check_problem(await service.http.get("/readyz"), 503, "store_unavailable")
    valkey.start()
    check_problem(await service.http.get("/v1/sessions/any"), 404, "unknown_session")


async def test_a_store_that_hangs_is_a_503_in_time(
    make_service: Any, settings: Settings, valkey: EmbeddedValkey
) -> None:
    service = await make_service(settings.model_copy(update={"redis_timeout_s": 0.3}))
    check_problem(await service.http.get("/v1/sessions/any"), 404, "unknown_session")
    assert valkey.process_id is not None
    os.kill(valkey.process_id, signal.SIGSTOP)
    try:
        check_problem(await service.http.get("/v1/sessions/any", timeout=5), 503, "store_unavailable")
        assert (await service.http.get("/healthz")).status_code == 200
    finally:
        os.kill(valkey.process_id, signal.SIGCONT)
    check_problem(await service.http.get("/v1/sessions/any"), 404, "unknown_session")


async def test_a_page_of_another_origin_cannot_act_for_the_user(service: Any) -> None:
    response = await service.http.post("/v1/sessions", json={}, headers={"origin": "https://elsewhere.example"})
    check_problem(response, 403, "forbidden_origin")
    own = await service.http.post("/v1/sessions", json={}, headers={"origin": service.url})
    check_problem(own, 422, "invalid_input")


def test_the_gateway_needs_neither_torch_nor_the_model() -> None:
    code = "import sys, univs_service.gateway.app; print([m for m in ('torch', 'univs') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
