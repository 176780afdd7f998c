"""Health tells the truth; limits, models and metrics can be read."""

from typing import Any

from univs_service.settings import Settings


async def test_ready_only_with_a_worker_that_is_ready(service: Any, worker: Any) -> None:
    assert (await service.http.get("/healthz")).json() == {"status": "ok"}
    worker.beat(is_ready=False)
    refused = await service.http.get("/readyz")
    assert refused.status_code == 503 and "loading weights" in refused.json()["detail"]
    worker.beat()
    ready = await service.http.get("/readyz")
    assert ready.status_code == 200 and ready.json()["workers"][0]["worker_id"] == "small"
    worker.store.leave("small")
    assert (await service.http.get("/readyz")).status_code == 503


async def test_limits_are_those_of_the_settings(service: Any, settings: Settings) -> None:
    response = await service.http.get("/v1/limits")
    assert response.json() == settings.limits().model_dump()


async def test_models_say_which_prompts_they_serve_and_that_they_are_untrained(service: Any, worker: Any) -> None:
    worker.beat()
    (model,) = (await service.http.get("/v1/models")).json()["models"]
    assert model["prompts"] == ["points", "box", "mask", "scribble"]
    assert model["weights"]["is_trained"] is False


async def test_metrics_count_requests_by_route(service: Any) -> None:
    await service.http.get("/v1/sessions/one")
    await service.http.get("/v1/sessions/two")
    text = (await service.http.get("/metrics")).text
    line = 'univs_http_requests_total{method="GET",route="/v1/sessions/{session_id}",status="404"} 2.0'
    assert line in text
    assert "process_resident_memory_bytes" in text


async def test_the_api_documents_itself(service: Any) -> None:
    document = (await service.http.get("/openapi.json")).json()
    assert "/v1/sessions/{session_id}/results" in document["paths"]
    content = document["paths"]["/v1/sessions"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    assert {"Problem", "SessionIn", "PromptIn"} <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in str(document["paths"])
    assert (await service.http.get("/docs")).status_code == 200
