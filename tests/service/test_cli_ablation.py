from pathlib import Path

from typer.testing import CliRunner

from univs_service.cli.main import app

_runner = CliRunner()


def test_an_ablation_is_trained_measured_and_printed_beside_the_papers_table(tmp_path: Path) -> None:
    arguments = ["category-only", "-o", str(tmp_path), "--steps", "1", "--videos", "1", "--threads", "1"]
    result = _runner.invoke(app, ["train", "ablation", *arguments])
    assert result.exit_code == 0, result.output
    assert "Table 10" in result.stdout
    assert "not given here" in result.stdout
    assert (tmp_path / "category-only.md").read_text(encoding="utf-8").strip() in result.stdout


def test_an_unknown_ablation_is_refused_by_name(tmp_path: Path) -> None:
    result = _runner.invoke(app, ["train", "ablation", "everything", "-o", str(tmp_path)])
    assert result.exit_code == 1
    assert "expected an ablation of" in result.output
    assert not list(tmp_path.iterdir())
