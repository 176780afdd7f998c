import json
import os
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from univs.weights import load
from univs_service.cli.machine import resident_bytes, this_machine
from univs_service.cli.main import app
from univs_service.cli.measure import matmul_peak, measure_memory, timed_modules, write_video
from univs_service.cli.runs import load_engine


def test_speed_comes_with_its_machine_and_its_stages_add_up(tmp_path: Path) -> None:
    options = ["--model", "tiny", "--objects", "3", "--size", "64x96", "--short-side", "64", "--frames", "4"]

    result = CliRunner().invoke(app, ["bench", *options, "--threads", "1", "--json", str(tmp_path / "bench.json")])

    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "bench.json").read_text())
    (speed,) = report["speeds"]
    assert (speed["num_frames"], speed["num_objects"], speed["size"]) == (4, 3, [64, 96])
    assert speed["weights"] == "untrained"
    assert sum(speed["stages_s"].values()) == pytest.approx(speed["alone_s"])
    assert {"decode", "backbone", "pixel decoder", "mask decoder"} <= speed["stages_s"].keys()
    assert list(speed["split_s"]) == ["backbone", "pixel decoder", "mask decoder with readout", "rest"]
    assert all(seconds > 0 for seconds in speed["split_s"].values())
    assert sum(speed["split_s"].values()) == pytest.approx(sum(speed["stages_s"].values()))
    assert report["machine"]["commit"]
    assert max(report["matmul_gflops"].values()) > 0


def test_projections_count_as_the_decoders_once() -> None:
    model, _ = load("tiny")
    features = model.encode_frames(torch.zeros(1, 1, 3, 64, 96, dtype=torch.uint8), torch.tensor([[0]]))
    with timed_modules(model, is_cuda=False) as seconds:
        model.mask_decoder.project(features)
        projecting = seconds["mask decoder"]
        start = time.perf_counter()
        model.decode(features, None, use_learnable=True)
        elapsed = time.perf_counter() - start
    assert projecting > 0
    assert projecting < seconds["mask decoder"] <= projecting + elapsed


def test_size_must_be_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "--size", "360"])

    assert result.exit_code == 2
    assert "HEIGHTxWIDTH" in result.output


def test_what_a_session_keeps_does_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, (64, 96), 24)

    samples = measure_memory(load_engine("tiny", "cpu", 1, 64), path, num_objects=2, sample_at=(8, 16, 24))

    assert [sample.num_frames for sample in samples] == [8, 16, 24]
    assert len({sample.session_bytes for sample in samples}) == 1


def test_peak_is_of_each_side() -> None:
    assert all(gflops > 0 for gflops in matmul_peak((64, 128), seconds_each=0.02).values())


def test_machine_is_described() -> None:
    machine = this_machine()

    assert 1 <= machine.num_cores <= (os.cpu_count() or 1)
    assert machine.memory_gib > 0
    assert resident_bytes() > 2**20
