import json
import re
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from univs_service.cli.main import app
from univs_service.exports import ResultsDocument

NUM_FRAMES, WIDTH, HEIGHT = 3, 64, 48


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A white square on grey that moves by four pixels a frame."""
    path = tmp_path_factory.mktemp("clip") / "square.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(NUM_FRAMES):
            image = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
            image[10:30, 8 + 4 * index : 28 + 4 * index] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def univs(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def segment(clip: Path, target: Path, prompts: Sequence[str] = ("--box", "1:8,10,28,30")) -> Result:
    return univs("segment", clip, *prompts, "--model", "tiny", "--short-side", "64", "-o", target)


def test_json_holds_every_frame_and_says_the_weights_are_untrained(clip: Path, tmp_path: Path) -> None:
    result = segment(clip, tmp_path / "out.json", ["--box", "1:8,10,28,30", "--point", "7:50,40@1"])

    assert result.exit_code == 0, result.output
    document = ResultsDocument.model_validate_json((tmp_path / "out.json").read_text())
    assert [frame.frame_index for frame in document.frames] == [0, 1, 2]
    assert [[answer.object_id for answer in frame.objects] for frame in document.frames] == [[1], [1, 7], [1, 7]]
    assert {frame.weights for frame in document.frames} == {"untrained"}
    assert "these masks mean nothing" in result.output


@pytest.mark.parametrize("compat", ["paper", "released"])
def test_overlay_has_as_many_frames_as_the_video(
    clip: Path, tmp_path: Path, compat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIVS_COMPAT", compat)  # released: results come when a window of frames has been seen
    result = segment(clip, tmp_path / "out.mp4")

    assert result.exit_code == 0, result.output
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(list(container.decode(video=0))) == NUM_FRAMES


def test_folder_holds_a_png_for_every_frame(clip: Path, tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[10:30, 8:28] = 255
    Image.fromarray(mask).save(tmp_path / "square.png")

    result = segment(clip, tmp_path / "masks", ["--mask", f"3:{tmp_path / 'square.png'}"])

    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert names == ["00000.png", "00001.png", "00002.png"]
    first = np.asarray(Image.open(tmp_path / "masks" / "00000.png"))
    assert np.array_equal(first == 3, mask > 0)  # the user's own mask is the answer in its frame


def test_other_formats_are_asked_for_by_name(clip: Path, tmp_path: Path) -> None:
    result = segment(clip, tmp_path / "o.json", ["--box", "8,10,28,30", "--format", "coco_rle_raw", "--name", "1:cup"])

    assert result.exit_code == 0, result.output
    data = json.loads((tmp_path / "o.json").read_text())
    assert [image["id"] for image in data["images"]] == [0, 1, 2]
    assert all(category["name"] == "cup" for category in data["categories"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-o", "out.avi"], r"expected an output that ends in \.json, .*'\.avi'"),
        (["--format", "cvat", "-o", "out.json"], r"expected a \.xml file for cvat, got '\.json'"),
        (["--format", "avi"], "expected one of the formats json, coco_rle, .* got 'avi'"),
        (["--name", "cup"], "expected a name as OBJECT:NAME"),
    ],
)
def test_an_output_that_cannot_be_is_told_before_any_work(clip: Path, options: list[str], says: str) -> None:
    result = univs("segment", clip, "--box", "8,10,28,30", *options)

    assert result.exit_code != 0
    assert re.search(says, " ".join(result.output.split()))


def test_last_frame_can_be_chosen(clip: Path, tmp_path: Path) -> None:
    result = segment(clip, tmp_path / "o.json", ["--box", "8,10,28,30", "--to-frame", "1"])

    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "o.json").read_text())["num_frames"] == 2


@pytest.mark.parametrize(
    ("prompts", "status", "says"),
    [
        ([], 2, "expected at least one prompt"),
        (["--box", "1:5,5"], 2, "--box takes x0,y0,x1,y1"),
        (["--box", "1:0,0,400,20"], 1, "inside the frame, 0..64 x 0..48"),
        (["--text", "1:a square"], 1, "expected a text encoder"),
    ],
)
def test_bad_prompt_is_told_and_writes_nothing(
    clip: Path, tmp_path: Path, prompts: list[str], status: int, says: str
) -> None:
    result = segment(clip, tmp_path / "out.json", prompts)

    assert result.exit_code == status
    assert says in result.output
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no video")

    result = segment(tmp_path / "notes.txt", tmp_path / "out.json")

    assert result.exit_code == 1
    assert "expected a video" in result.output


def test_service_that_is_not_there_is_told(clip: Path, tmp_path: Path) -> None:
    result = univs("segment", clip, "--box", "8,10,28,30", "--url", "http://127.0.0.1:9", "-o", tmp_path / "out.json")

    assert result.exit_code == 1
    assert "univs serve" in result.output
