"""`univs predict`: a benchmark in, the file for its server out."""

from pathlib import Path

from tests.model.data.miniatures import write_davis2017
from typer.testing import CliRunner

from univs.evaluation.submissions.pngs import read_pngs
from univs_service.cli.main import app

_RUNNER = CliRunner()


def test_a_benchmark_is_predicted_and_its_answers_can_be_scored(tmp_path: Path) -> None:
    write_davis2017(tmp_path / "data")
    output = tmp_path / "answers.zip"
    options = ["--weights", "tiny", "--short-side", "64"]
    result = _RUNNER.invoke(app, ["predict", "davis2017", str(tmp_path / "data"), str(output), *options])
    assert result.exit_code == 0, result.output
    assert len(list(read_pngs(output))) == 3
    result = _RUNNER.invoke(app, ["score", "davis2017", str(tmp_path / "data"), str(output)])
    assert result.exit_code == 0, result.output


def test_missing_data_is_told_in_one_line(tmp_path: Path) -> None:
    result = _RUNNER.invoke(app, ["predict", "mose", str(tmp_path), str(tmp_path / "a.zip"), "--weights", "tiny"])
    assert result.exit_code == 1
    assert "JPEGImages" in result.stderr
