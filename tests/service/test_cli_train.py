from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from univs_service.cli.main import app
from univs_service.cli.model_card import BEGIN, END, fill_card
from univs_service.cli.weights_manifest import Manifest, sha256_of_file

_runner = CliRunner()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature DAVIS in its layout, and text vectors of a few names in theirs."""
    root = tmp_path_factory.mktemp("data")
    davis, clip = root / "davis2016", "disk"
    for folder in (davis / "JPEGImages" / "320p" / clip, davis / "Annotations" / "320p" / clip, davis / "ImageSets"):
        folder.mkdir(parents=True)
    rows, columns = np.indices((96, 128))
    for position in range(6):
        mask = (rows - 48) ** 2 + (columns - 40 - 6 * position) ** 2 <= 20**2
        pixels = np.where(mask[..., None], (220, 180, 60), (20, 60, 30)).astype(np.uint8)
        Image.fromarray(pixels).save(davis / "JPEGImages" / "320p" / clip / f"{position:05d}.jpg")
        Image.fromarray(mask.astype(np.uint8)).save(davis / "Annotations" / "320p" / clip / f"{position:05d}.png")
    for split in ("train", "dev"):
        (davis / "ImageSets" / f"{split}.txt").write_text("disk\n", encoding="utf-8")
    text = root / "text"
    text.mkdir()
    (text / "lvis_names.json").write_text('["disk"]', encoding="utf-8")
    (text / "Objects365_names_fix.csv").write_text("1,Ball,Ball\n", encoding="utf-8")
    vectors = np.random.default_rng(0).normal(size=(1, 512)).astype(np.float16)
    np.save(text / "lvis_v1_clip_a+cname.npy", vectors)
    np.save(text / "o365_clip_a+cnamefix.npy", vectors)
    return root


def test_trained_weights_are_evaluated_by_their_path(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    common = ["train", "tiny_smoke", "--data", str(data), "-o", str(run), "--workers", "0"]
    started = _runner.invoke(app, [*common, "--steps", "2"])
    assert started.exit_code == 0, started.output
    resumed = _runner.invoke(app, [*common, "--steps", "3", "--resume"])
    assert resumed.exit_code == 0, resumed.output
    assert "3 of 3 steps" in resumed.output

    weights = str(run / "tiny-smoke.safetensors")
    arguments = ["eval", str(data / "davis2016"), "--split", "dev", "--prompt", "box", "--short-side", "64"]
    written = ["--write-png", str(tmp_path / "masks"), "--write-strips", str(tmp_path / "strips")]
    found = _runner.invoke(app, [*arguments, "--weights", weights, *written])
    assert found.exit_code == 0, found.output
    assert "tiny-smoke, davis2016-dev, prompt box" in " ".join(found.output.split())
    assert len(list((tmp_path / "masks" / "disk").glob("*.png"))) == 6
    with Image.open(tmp_path / "strips" / "disk.jpg") as strip:
        assert strip.height == 2 * 160
        assert strip.width == 5 * round(128 * 160 / 96)


def test_a_run_is_published_with_the_figures_measured_of_it(data: Path, tmp_path: Path) -> None:
    run, shelf = tmp_path / "run", tmp_path / "weights"
    started = _runner.invoke(app, ["train", "tiny_smoke", "--data", str(data), "-o", str(run), "--workers", "0"])
    assert started.exit_code == 0, started.output
    weights = str(run / "tiny-smoke.safetensors")
    files = {}
    for name, subject in (("own", ["--weights", weights]), ("copied", ["--baseline", "copy"])):
        files[name] = tmp_path / f"{name}.json"
        arguments = [
            "eval",
            str(data / "davis2016"),
            "--split",
            "dev",
            "--short-side",
            "64",
            "--json",
            str(files[name]),
        ]
        assert _runner.invoke(app, [*arguments, *subject]).exit_code == 0
    shelf.mkdir()
    publish = ["weights", "publish", str(run), "--data", "davis2016", "--to", str(shelf), "--figures"]

    refused = _runner.invoke(app, [*publish, str(files["copied"])])
    assert refused.exit_code == 1
    assert "baselines only" in refused.output
    no_card = _runner.invoke(app, [*publish, str(files["own"])])
    assert no_card.exit_code == 1
    assert "model card" in no_card.output

    card = shelf / "tiny-smoke.md"
    card.write_text(f"# tiny\n\n{BEGIN}\nold\n{END}\n\nThe end.\n", encoding="utf-8")
    published = _runner.invoke(app, [*publish, str(files["own"]), "--figures", str(files["copied"])])
    assert published.exit_code == 0, published.output
    manifest = Manifest.read(shelf)
    entry = manifest.entry("tiny-smoke")
    assert entry is not None
    assert entry.file_sha256 == sha256_of_file(shelf / entry.file)
    assert entry.num_steps == 10
    with Image.open(shelf / "tiny-smoke.curve.png") as curve:
        assert curve.width > curve.height
    assert [record.subject for record in manifest.baselines] == ["first mask copied"]
    text = card.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.endswith("The end.\n")
    assert f"| tiny-smoke | davis2016 | dev | mask | {entry.figures[0].region:.3f} |" in text
    assert fill_card(text, entry, manifest) == text


def test_baseline_needs_no_weights(data: Path) -> None:
    found = _runner.invoke(app, ["eval", str(data / "davis2016"), "--split", "dev", "--baseline", "copy"])
    assert found.exit_code == 0, found.output
    assert "mean" in found.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "no_such_recipe"], "nano_vos"),
        (["train", "tiny_smoke", "--resume"], "found none"),
        (["train", "nano_vos"], "instances_train.json"),
    ],
)
def test_mistakes_are_told_without_a_traceback(data: Path, tmp_path: Path, arguments: list[str], told: str) -> None:
    found = _runner.invoke(app, [*arguments, "--data", str(data), "-o", str(tmp_path / "run"), "--workers", "0"])
    assert found.exit_code == 1
    assert told in found.output.replace("\n", "")
