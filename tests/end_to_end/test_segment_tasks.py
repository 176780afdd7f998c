"""`univs segment` from a service: every task, of videos and stills, with the answers that the process itself gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from univs_service.cli.main import app
from univs_service.exports import ResultsDocument

NAMES = ("--names", "person, dog", "--stuff", "sky")
AS_THE_SERVICE = ("--short-side", "64")  # the fixture runs it so


def segment(source: Path, target: Path, *options: str) -> ResultsDocument:
    arguments = ["segment", str(source), *options, "--model", "tiny", "-o", str(target)]
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return ResultsDocument.model_validate_json(target.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "options",
    [
        ("--task", "vis", *NAMES),
        ("--task", "vss", *NAMES),
        ("--task", "vps", "--vocabulary", "ovis"),
        ("--task", "vps,vos", *NAMES, "--box", "900:4,16,20,32"),
    ],
    ids=["vis", "vss", "vps", "vps and vos"],
)
def test_a_service_answers_as_the_process_does(
    running_service: Any, make_clip: Any, tmp_path: Path, options: tuple[str, ...]
) -> None:
    clip = make_clip(4)
    here = segment(clip, tmp_path / "here.json", *options, *AS_THE_SERVICE)
    there = segment(clip, tmp_path / "there.json", *options, "--url", running_service.url)
    assert there == here
    assert here.num_frames == 4


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_a_still_is_segmented_by_the_same_route(running_service: Any, tmp_path: Path, suffix: str) -> None:
    pixels = np.full((48, 64, 3), 40, dtype=np.uint8)
    pixels[16:32, 4:20] = (220, 180, 40)
    still = tmp_path / f"still{suffix}"
    Image.fromarray(pixels).save(still, lossless=True)
    options = ("--task", "vps,vos", *NAMES, "--box", "900:4,16,20,32")
    here = segment(still, tmp_path / "here.json", *options, *AS_THE_SERVICE)
    there = segment(still, tmp_path / "there.json", *options, "--url", running_service.url)
    assert there == here
    assert (here.num_frames, here.video.frame_rate) == (1, None)


def test_what_a_service_refuses_is_told(running_service: Any, make_clip: Any, tmp_path: Path) -> None:
    options = ["--task", "vis", "--vocabulary", "imagenet", "--url", running_service.url]
    done = CliRunner().invoke(
        app,
        ["segment", str(make_clip(2)), *options, "--model", "tiny", "-o", str(tmp_path / "out.json")],
        env={"COLUMNS": "400"},
    )
    assert done.exit_code == 1
    assert "ade20k, coco" in done.output
