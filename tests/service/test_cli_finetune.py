"""`univs train finetune`: a folder of videos in, weights with a card out, served by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from univs import weights
from univs_service.cli.main import app
from univs_service.settings import Settings
from univs_service.worker.engine import Engine
from univs_service.worker.engines import Engines
from univs_service.worker.weights_folder import resolved

_runner = CliRunner()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of a moving disk, as one's own folder."""
    root = tmp_path_factory.mktemp("videos")
    rows, columns = np.indices((64, 96))
    for name, step in (("left", 3), ("right", 5)):
        for kind in ("JPEGImages", "Annotations"):
            (root / kind / name).mkdir(parents=True)
        for position in range(6):
            mask = (rows - 32) ** 2 + (columns - 20 - step * position) ** 2 <= 14**2
            pixels = np.where(mask[..., None], (220, 180, 60), (20, 60, 30)).astype(np.uint8)
            Image.fromarray(pixels).save(root / "JPEGImages" / name / f"{position:05d}.jpg")
            Image.fromarray(mask.astype(np.uint8)).save(root / "Annotations" / name / f"{position:05d}.png")
    return root


def run(videos: Path, folder: Path, *options: str, name: str = "disks") -> Result:
    common = ["--name", name, "--weights", "tiny", "--validation", "right", "--short-side", "64", "--workers", "0"]
    places = ["--to", str(folder / "weights"), "-o", str(folder / "run")]
    return _runner.invoke(app, ["train", "finetune", str(videos), *common, *places, *options], env={"COLUMNS": "200"})


def said(result: Result) -> str:
    return " ".join(result.output.split())


def test_weights_with_a_card_are_written_and_served_by_name(videos: Path, tmp_path: Path) -> None:
    done = run(videos, tmp_path, "--steps", "2", "--even-if-worse")
    assert done.exit_code == 0, done.output
    assert "validation videos as named: 1 to train on, right to measure on" in said(done)
    path = tmp_path / "weights" / "disks.safetensors"
    info = weights.verify(path)
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert f"Content: sha256 `{info.sha256}`" in card
    assert "- left: 6 frames" in card and "| right | 0." in card and "| mean | 0." in card
    assert "own" in info.note

    settings = Settings(data_dir=tmp_path, model="tiny", short_side_px=64)
    engines = Engines(Engine.load(settings), settings)
    assert engines.claimable([])["disks"].sha256 == info.sha256
    assert engines.get("disks", []).info.name == "disks"
    assert resolved(settings.model_copy(update={"model": "disks"})).model == str(path)

    again = run(videos, tmp_path, "--steps", "1")
    assert again.exit_code == 1
    assert "exists already; choose another name, or give --force" in said(again)


def test_weights_that_got_worse_are_kept_out_of_the_service(videos: Path, tmp_path: Path) -> None:
    done = run(videos, tmp_path, "--steps", "1", "--rate", "0")  # the same weights are no better
    assert done.exit_code == 1
    assert "is no better than tiny on the validation videos and is not served" in said(done)
    assert (tmp_path / "run" / "disks.safetensors").is_file()
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [("nano", "expected a name of letters"), ("disks", "expected videos of left, right, got centre")],
)
def test_mistakes_are_told_before_anything_is_computed(videos: Path, tmp_path: Path, name: str, told: str) -> None:
    refused = run(videos, tmp_path, "--validation", "centre", name=name)
    assert refused.exit_code == 1
    assert told in said(refused)
    assert not (tmp_path / "run").exists()


def test_help_names_both_ways_to_train() -> None:
    shown = _runner.invoke(app, ["train", "--help"])
    assert shown.exit_code == 0
    assert "finetune" in shown.output and "univs train nano_vos" in shown.output
    assert "--batch-size" in _runner.invoke(app, ["train", "recipe", "--help"]).output
