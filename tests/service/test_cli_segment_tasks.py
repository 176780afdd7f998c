"""`univs segment` with every task, in process, on random weights: what is asked for is what is written."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from univs_service.cli.main import app
from univs_service.exports import ResultsDocument

NUM_FRAMES, WIDTH, HEIGHT = 2, 64, 48
NAMES = ("--names", "person, dog", "--stuff", "sky")


def pixels(index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    image = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
    image[10:30, 8 + 4 * index : 28 + 4 * index] = 255
    return image


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A white square on grey."""
    path = tmp_path_factory.mktemp("clip") / "square.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(NUM_FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels(index), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def segment(source: Path, target: Path, *options: str) -> Result:
    arguments = ["segment", str(source), *options, "--model", "tiny", "--short-side", "64", "-o", str(target)]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def document(path: Path) -> ResultsDocument:
    return ResultsDocument.model_validate_json(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("task", "has_semantic", "has_panoptic"), [("vis", False, False), ("vss", True, False), ("vps", False, True)]
)
def test_each_task_about_categories_gives_its_answer(
    clip: Path, tmp_path: Path, task: str, has_semantic: bool, has_panoptic: bool
) -> None:
    done = segment(clip, tmp_path / "out.json", "--task", task, *NAMES)

    assert done.exit_code == 0, done.output
    frames = document(tmp_path / "out.json").frames
    assert [frame.frame_index for frame in frames] == [0, 1]
    assert {frame.semantic is not None for frame in frames} == {has_semantic}
    assert {frame.panoptic is not None for frame in frames} == {has_panoptic}
    assert all(frame.warning is not None and "random" in frame.warning for frame in frames)
    for frame in frames:
        maps = [found for found in (frame.semantic, frame.panoptic) if found is not None]
        for segment_ in (one for found in maps for one in found.segments_info):
            assert segment_.category_id == ("person", "dog", "sky").index(segment_.label) + 1
            assert segment_.is_thing == (segment_.label != "sky")
    assert "mean nothing" in done.output


def test_prompts_and_categories_go_together(clip: Path, tmp_path: Path) -> None:
    done = segment(clip, tmp_path / "out.json", "--task", "vis,vos", *NAMES, "--box", "7:8,10,28,30")

    assert done.exit_code == 0, done.output
    for frame in document(tmp_path / "out.json").frames:
        assert {answer.object_id for answer in frame.objects if answer.category_id is None} == {7}


def test_a_vocabulary_by_its_name_gives_the_ids_of_its_data_set(clip: Path, tmp_path: Path) -> None:
    done = segment(clip, tmp_path / "out", "--task", "vps", "--vocabulary", "coco_panoptic", "--format", "panoptic")

    assert done.exit_code == 0, done.output
    content = json.loads((tmp_path / "out" / "panoptic.json").read_text(encoding="utf-8"))
    assert len(content["images"]) == NUM_FRAMES
    assert all(1 <= category["id"] <= 200 for category in content["categories"])


def test_a_vocabulary_that_is_none_is_told_with_those_that_are(clip: Path, tmp_path: Path) -> None:
    done = segment(clip, tmp_path / "out.json", "--task", "vis", "--vocabulary", "imagenet")

    assert done.exit_code == 1
    assert "ade20k, coco, coco_panoptic" in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_still_gives_a_picture(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    still = tmp_path / f"still{suffix}"
    Image.fromarray(pixels(0)).save(still)

    done = CliRunner().invoke(
        app, ["segment", str(still), "--box", "8,10,28,30", "--model", "tiny", "--short-side", "64"]
    )

    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "still_masks.png") as picture:
        assert picture.size == (WIDTH, HEIGHT)


def test_a_stroke_names_an_object(clip: Path, tmp_path: Path) -> None:
    done = segment(clip, tmp_path / "out.json", "--task", "pvos", "--scribble", "3:10,15 18,20 25,28")

    assert done.exit_code == 0, done.output
    assert {answer.object_id for frame in document(tmp_path / "out.json").frames for answer in frame.objects} == {3}


@pytest.mark.parametrize("stroke", ["3:10,15", "3:10,15 x", "3:1,2,3 4,5"])
def test_a_stroke_of_one_point_is_none(clip: Path, tmp_path: Path, stroke: str) -> None:
    done = segment(clip, tmp_path / "out.json", "--scribble", stroke)

    assert done.exit_code == 2
    assert "--scribble takes" in done.output


def test_stuff_is_labelled_by_weights_that_run_as_published(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--task", "pvos", "--vocabulary", "vipseg", "--box", "1:8,10,28,30", "--stuff-object", "1:road")
    refused = segment(clip, tmp_path / "out.json", *options)
    assert refused.exit_code == 1
    assert "run as published" in refused.output

    monkeypatch.setenv("UNIVS_COMPAT", "released")
    done = segment(clip, tmp_path / "out.json", *options)
    assert done.exit_code == 0, done.output
    assert document(tmp_path / "out.json").num_frames == NUM_FRAMES
