"""Weights that are put into the folder of a running service are served by their name, without a restart."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from univs import weights
from univs.config import tiny
from univs.model import UniVS

OFFERED_WITHIN_S = 60.0


def models(service: Any) -> dict[str, bool]:
    """Names that the service offers, and whether each is loaded."""
    answer = service.http.get("/v1/models").json()["models"]
    return {model["name"]: model["is_loaded"] for model in answer}


def wait_until_offered(service: Any, name: str) -> None:
    deadline = time.monotonic() + OFFERED_WITHIN_S
    while time.monotonic() < deadline:
        if name in models(service):
            return
        time.sleep(0.05)
    pytest.fail(f"{name} was not offered; {service.last_log_lines()}")


def test_new_weights_are_served_by_name(start_service: Any, tmp_path: Path, make_clip: Any, make_box: Any) -> None:
    torch.manual_seed(1)
    weights.save(UniVS(tiny()), tmp_path / "cars.safetensors", weights.WeightsInfo("cars", "", True, "", tiny()))
    clip = make_clip(4)
    with start_service(tmp_path / "data") as service:
        worker = service.child_id("worker")
        assert models(service) == {"tiny": True}
        with pytest.raises(AssertionError, match="expected a model that a worker offers"):
            service.start_session(clip, [make_box()], model="cars")

        (tmp_path / "data" / "weights").mkdir()
        shutil.copy(tmp_path / "cars.safetensors", tmp_path / "data" / "weights")
        wait_until_offered(service, "cars")
        assert models(service)["cars"] is False

        events = service.events(service.start_session(clip, [make_box()], model="cars")["session_id"])
        results = [event for event in events if event["type"] == "frame.result"]
        assert [(event["frame_index"], event["weights"]) for event in results] == [(n, "cars") for n in range(4)]
        assert service.child_id("worker") == worker
