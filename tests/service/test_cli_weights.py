"""`univs weights`: a published checkpoint in, a checked file out, and plain words for everything that is wrong."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tests.model.published import PREDICTOR, published_state
from typer.testing import CliRunner, Result

from univs import weights
from univs.config import r50
from univs_service.cli.main import app

_runner = CliRunner()


def run(*arguments: object) -> Result:
    return _runner.invoke(app, ["weights", *map(str, arguments)], env={"COLUMNS": "240"})


def said(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as the released code writes it, class vectors, and what `convert` made of them."""
    folder = tmp_path_factory.mktemp("weights")
    state = published_state(r50(), "cpu")
    torch.save({"model": state, "iteration": 7}, folder / "r50.pth")
    torch.save(torch.zeros(3938, 640), folder / "classes.pth")
    done = run("convert", folder / "r50.pth", folder / "mine.safetensors", "--class-table", folder / "classes.pth")
    assert done.exit_code == 0, done.output
    (folder / "account.txt").write_text(said(done), encoding="utf-8")
    return folder


def test_the_account_names_everything(folder: Path) -> None:
    text = (folder / "account.txt").read_text(encoding="utf-8")
    counts = {"backbone": 265, "pixel_decoder": 117, "visual_queries": 1, "text_queries": 12, "mask_decoder": 230}
    assert all(f"mapped: {part} │ {number} │" in text for part, number in counts.items())
    assert f"left out: {PREDICTOR}reid_temp.weight │ 1 │" in text
    assert "not in the file: visual_queries.negative" in text


def test_what_was_converted_is_whole_and_exact(folder: Path) -> None:
    checked = run("verify", folder / "mine.safetensors")
    assert checked.exit_code == 0
    assert "mine.classes.safetensors" in checked.output
    with safe_open(folder / "mine.safetensors", framework="pt") as file:
        assert file.get_tensor("mask_decoder.query_content").dtype == torch.float32


def test_it_describes_itself(folder: Path) -> None:
    described = json.loads(run("describe", folder / "mine.safetensors").output)
    assert (described["name"], described["is_trained"], described["config"]["name"]) == ("mine", True, "r50")
    assert described["compat"] == "released"
    untrained = json.loads(run("describe", "swin_t").output)
    assert (untrained["is_trained"], untrained["config"]["backbone"]["kind"]) == (False, "SwinConfig")


def test_equal_conversions_have_equal_hashes(folder: Path, tmp_path: Path) -> None:
    again = run("convert", folder / "r50.pth", tmp_path / "mine.safetensors", "--variant", "r50")
    assert again.exit_code == 0, again.output
    assert weights.describe(tmp_path / "mine.safetensors") == weights.describe(folder / "mine.safetensors")
    assert "nothing lies beside it" in run("verify", tmp_path / "mine.safetensors").output


def test_nothing_is_replaced_unasked(folder: Path) -> None:
    refused = run("convert", folder / "r50.pth", folder / "mine.safetensors")
    assert refused.exit_code == 1
    assert "exists already; choose another name, or give --force" in said(refused)
    source = run("convert", folder / "mine.safetensors", folder / "mine.safetensors", "--force")
    assert source.exit_code == 1
    assert "is one of the files to be read" in said(source)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--variant", "swin_t"], "choose the variant"),
        (["--averages"], "expected running averages"),
        (["--class-table", "absent.pth"], "no such file"),
        (["--text-tower", "classes.pth"], "expected tensors by name"),
    ],
)
def test_a_refused_conversion_leaves_nothing_behind(
    folder: Path, tmp_path: Path, options: list[str], told: str
) -> None:
    options = [str(folder / option) if option.endswith(".pth") else option for option in options]
    refused = run("convert", folder / "r50.pth", tmp_path / "other.safetensors", *options)
    assert refused.exit_code == 1
    assert told in said(refused)
    assert not list(tmp_path.iterdir())


class _Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path(_Malicious.victim),)  # type: ignore[return-value]  # what a pickle may call

    victim = ""


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    _Malicious.victim = str(tmp_path / "victim")
    torch.save({"model": {"a": torch.zeros(1)}, "hook": _Malicious()}, tmp_path / "bad.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(_Malicious()))
    for name in ("bad.pth", "plain.pth"):
        refused = run("convert", tmp_path / name, tmp_path / "out.safetensors")
        assert refused.exit_code == 1
        assert "without executing code from it" in said(refused)
    assert not (tmp_path / "victim").exists()


def test_out_must_be_named_for_what_it_is(folder: Path, tmp_path: Path) -> None:
    refused = run("convert", folder / "r50.pth", tmp_path / "mine.pth")
    assert refused.exit_code == 2
    assert ".safetensors" in refused.output


def test_damage_is_told_with_an_exit_status(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    shutil.copy(folder / "mine.safetensors", path)
    with path.open("r+b") as file:
        file.seek(-3, 2)
        file.write(b"\x7f\x7f\x7f")
    refused = run("verify", path)
    assert refused.exit_code == 1
    assert "damaged: expected sha256" in said(refused)
    path.write_bytes(b"text")
    assert run("verify", path).exit_code == 1
    assert run("verify", "no-such-name").exit_code == 1
    assert "expected a path" in said(run("describe", "no-such-name"))


def test_the_list_names_files_and_architectures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, info = weights.load("tiny")
    weights.save(model, tmp_path / "tiny.safetensors", info)
    (tmp_path / "broken.safetensors").write_bytes(b"")
    monkeypatch.setattr(weights, "_FOLDERS", (tmp_path,))
    text = said(run("list"))
    assert "│ tiny │ no │" in text
    assert "│ broken │ ? │ 0.0 │" in text
    assert "cannot be read as one" in text
    assert "untrained (their masks mean nothing): nano, r50, swin_t, swin_b, swin_l" in text
