"""`univs score`: a table, a file, and plain words for what is missing."""

import json
import shutil
from pathlib import Path

from tests.model.data.miniatures import write_davis2017
from typer.testing import CliRunner

from univs_service.cli.main import app

_RUNNER = CliRunner()


def test_predictions_are_scored_and_written_as_json(tmp_path: Path) -> None:
    write_davis2017(tmp_path / "data")
    shutil.copytree(tmp_path / "data" / "Annotations" / "480p", tmp_path / "answers")
    command = ["score", "davis2017", str(tmp_path / "data"), str(tmp_path / "answers")]
    result = _RUNNER.invoke(app, [*command, "--json", str(tmp_path / "figures.json")])
    assert result.exit_code == 0, result.output
    assert "1.0000" in result.output
    content = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert content["rows"][0]["J&F"] == 1.0


def test_missing_predictions_are_told_in_one_line(tmp_path: Path) -> None:
    write_davis2017(tmp_path)
    result = _RUNNER.invoke(app, ["score", "davis2017", str(tmp_path), str(tmp_path / "nowhere")])
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
