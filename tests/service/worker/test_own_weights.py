"""Weights that are put into the folder while the worker runs are served by their name; few are held at a time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from univs import weights
from univs.config import tiny
from univs.errors import WeightsNotFoundError
from univs.model import UniVS
from univs.types import PromptKind
from univs_service.messages import PromptIn
from univs_service.settings import Settings
from univs_service.worker.engine import Engine
from univs_service.worker.engines import Engines
from univs_service.worker.weights_folder import WeightsFolder, resolved

Boxes = Callable[..., PromptIn]


def write_weights(folder: Path, name: str, seed: int = 5, inner_name: str = "") -> Path:
    """Write a network of its own, as a fine-tuning does."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(seed)
    info = weights.WeightsInfo(inner_name or name, "", True, "for tests", tiny())
    weights.save(UniVS(tiny()), folder / f"{name}.safetensors", info)
    return folder / f"{name}.safetensors"


def settings(folder: Path, **values: Any) -> Settings:
    return Settings(data_dir=folder, model="tiny", short_side_px=64, **values)


def test_a_file_that_appears_serves_the_next_session(bench: Any, make_box: Boxes) -> None:
    worker = bench.worker()
    before = bench.create("before", [make_box()], num_frames=3)
    worker.run_to_end(before)
    wanting = bench.create("wanting", [make_box()], num_frames=3, model="mine")
    worker.turn(3)
    assert bench.state(wanting).status == "queued"

    path = write_weights(bench.settings.own_weights, "mine", inner_name="something")
    worker.run_to_end(wanting)

    state = bench.state(wanting)
    assert (state.status, state.weights.name, state.weights.sha256) == ("done", "mine", weights.describe(path).sha256)
    results = [event for event in bench.events(wanting) if event["type"] == "frame.result"]
    assert [(result["weights"], len(result["objects"])) for result in results] == [("mine", 1)] * 3
    assert [event["weights"] for event in bench.events(before) if event["type"] == "frame.result"] == ["untrained"] * 3
    assert [(model.name, model.is_loaded) for model in worker.engines.models] == [("tiny", True), ("mine", True)]


def test_weights_that_cannot_be_loaded_end_their_session_with_the_reason(bench: Any, make_box: Boxes) -> None:
    path = write_weights(bench.settings.own_weights, "mine")
    with path.open("r+b") as file:
        file.seek(-3, 2)
        file.write(b"\x7f\x7f\x7f")
    worker = bench.worker()
    broken, fine = bench.create("broken", [make_box()], model="mine"), bench.create("fine", [make_box()], num_frames=3)
    worker.run_to_end(broken, fine)
    state = bench.state(broken)
    assert (state.status, state.problem.code) == ("failed", "unknown_model")
    assert "damaged" in state.problem.detail
    assert bench.state(fine).status == "done"


def test_only_so_many_networks_are_held_and_one_in_use_stays(tmp_path: Path, engine: Engine) -> None:
    for seed, name in enumerate(("a", "b", "c")):
        write_weights(tmp_path / "weights", name, seed)
    engines = Engines(engine, settings(tmp_path, max_models=2))
    assert set(engines.claimable([])) == {"tiny", "a", "b", "c"}
    first = engines.get("a", [])
    assert engines.get("a", []) is first
    assert set(engines.claimable([first])) == {"tiny", "a"}, "no room for another while it is in use"
    second = engines.get("b", [])
    assert [model.name for model in engines.models if model.is_loaded] == ["tiny", "b"]
    assert engines.get("a", [second]) is not first


def test_a_replaced_file_is_loaded_anew_and_one_that_is_gone_is_offered_no_more(tmp_path: Path, engine: Engine) -> None:
    path = write_weights(tmp_path / "weights", "mine")
    engines = Engines(engine, settings(tmp_path))
    old = engines.get("mine", [])
    write_weights(tmp_path / "weights", "mine", seed=6)
    (tmp_path / "weights" / "notes.md").write_text("no weights", encoding="utf-8")
    engines.claimable([old])
    assert engines.get("mine", [old]).info.sha256 != old.info.sha256
    path.unlink()
    assert set(engines.claimable([])) == {"tiny"}
    with pytest.raises(WeightsNotFoundError, match="are gone"):
        engines.get("mine", [])


def test_files_that_are_no_weights_or_take_another_name_are_left_out(tmp_path: Path) -> None:
    write_weights(tmp_path, "mine")
    write_weights(tmp_path, "taken")
    (tmp_path / "broken.safetensors").write_bytes(b"text")
    assert list(WeightsFolder(tmp_path, {"taken"}).offers()) == ["mine"]
    assert WeightsFolder(tmp_path / "absent").offers() == {}


def test_an_offer_says_what_the_loaded_weights_say(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "weights", "mine")
    (offer,) = WeightsFolder(tmp_path / "weights").offers().values()
    loaded = Engine.load(settings(tmp_path).model_copy(update={"model": str(path)})).model_info
    assert offer.model_info == loaded.model_copy(update={"is_own": True})


def test_an_outline_reads_text_where_the_weights_do(tmp_path: Path) -> None:
    config = replace(tiny(), text_dim=512)
    info = weights.WeightsInfo("mine", "", True, "", config, tuple(PromptKind))
    weights.save(UniVS(config), tmp_path / "mine.safetensors", info)
    loaded, outlined = weights.load(tmp_path / "mine.safetensors"), weights.outline(tmp_path / "mine.safetensors")
    assert outlined[1] == loaded[1]
    assert (outlined[0].text_encoder is None) == (loaded[0].text_encoder is None)
    assert outlined[0].device.type == "meta"


def test_a_name_in_the_folder_is_a_path_for_a_worker_of_its_own(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "weights", "mine")
    assert resolved(settings(tmp_path)).model == "tiny"
    assert resolved(settings(tmp_path).model_copy(update={"model": "mine"})).model == str(path)
    elsewhere = settings(tmp_path, weights_dir=tmp_path / "other").model_copy(update={"model": "mine"})
    assert resolved(elsewhere).model == "mine"
