"""`univs data`: names, and what is missing in a folder."""

from pathlib import Path

from typer.testing import CliRunner

from univs_service.cli.main import app

_RUNNER = CliRunner()


def test_list_names_data_sets_and_splits() -> None:
    result = _RUNNER.invoke(app, ["data", "list"])
    assert result.exit_code == 0
    assert "davis2017: train, val, test-dev" in result.output


def test_check_says_what_each_split_lacks_and_fails_without_any(tmp_path: Path) -> None:
    result = _RUNNER.invoke(app, ["data", "check", "mose", str(tmp_path)])
    assert result.exit_code == 1
    assert "train: cannot be used" in result.output
    assert str(tmp_path / "valid" / "JPEGImages") in result.output


def test_check_names_missing_files(tmp_path: Path) -> None:
    (tmp_path / "valid" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "valid" / "instances.json").write_text(
        '{"videos": [{"id": 1, "width": 4, "height": 4, "file_names": ["a/0.jpg"]}], "categories": []}',
        encoding="utf-8",
    )
    result = _RUNNER.invoke(app, ["data", "check", "ytvis2021", str(tmp_path)])
    assert result.exit_code == 1
    assert "valid: 1 files missing of 1 videos, 1 frames, 1 files" in result.output
    assert str(tmp_path / "valid" / "JPEGImages" / "a" / "0.jpg") in result.output


def test_unknown_names_are_told_in_one_line(tmp_path: Path) -> None:
    result = _RUNNER.invoke(app, ["data", "check", "imagenet", str(tmp_path)])
    assert result.exit_code == 1
    assert "expected a data set of" in result.stderr
