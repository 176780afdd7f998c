"""A published checkpoint, converted, served by its path, and a clip segmented with it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.model.parity.fixtures import FOLDER
from tests.model.parity.network import filled, layout
from tests.model.published import averages_of
from typer.testing import CliRunner

from univs_service.cli.main import app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the parity fixtures do not lie beside the checkout"),
]


def said(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["weights", *map(str, arguments)], env={"COLUMNS": "240"})
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_a_clip_is_segmented_with_a_converted_checkpoint(start_service: Any, tmp_path: Path, make_clip: Any) -> None:
    """All published names and shapes, and their running averages, with values that make sense of a picture."""
    state = filled(layout("r50"))
    torch.save({"model": state | averages_of(state), "iteration": 7}, tmp_path / "published.pth")
    weights = tmp_path / "mine.safetensors"
    assert "left out: backbone_t.res2" in said("convert", tmp_path / "published.pth", weights)
    assert "mine.safetensors is whole: r50" in said("verify", weights)
    prompt = {"object_id": 1, "frame_index": 0, "points": [[12, 24, 1]]}

    with start_service(tmp_path / "data", model=str(weights)) as service:
        session = service.start_session(make_clip(6), [prompt])
        events = service.events(session["session_id"])
        (model,) = service.http.get("/v1/models").json()["models"]

    assert (model["name"], model["weights"]["is_trained"]) == ("mine", True)
    results = [event for event in events if event["type"] == "frame.result"]
    assert [result["frame_index"] for result in results] == list(range(6))
    assert [[each["object_id"] for each in result["objects"]] for result in results] == [[1]] * 6
    assert all(result["size"] == [48, 64] and result["weights"] == "mine" for result in results), json.dumps(results)
    assert events[-1]["type"] == "session.closed"
