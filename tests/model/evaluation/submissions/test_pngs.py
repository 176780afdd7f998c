import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from univs.errors import InputError
from univs.evaluation.submissions.pngs import PngSubmission, read_pngs

_LABELS = np.array([[0, 1, 2], [3, 3, 255]])
_FRAMES = {"0a1b": ("00000", "00005")}


def test_object_ids_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    with PngSubmission(tmp_path / "vos.zip", _FRAMES) as submission:
        submission.add_labels("0a1b", "00000", _LABELS)
        submission.add_labels("0a1b", "00005", 0 * _LABELS)
        assert not (tmp_path / "vos.zip").exists()
    first, second = read_pngs(tmp_path / "vos.zip")
    assert (first.folder, first.frame, second.frame) == ("0a1b", "00000", "00005")
    assert np.array_equal(first.labels, _LABELS)
    assert not second.labels.any()


def test_pictures_are_indexed_and_coloured_as_davis_colours_them(tmp_path: Path) -> None:
    with PngSubmission(tmp_path / "vos.zip", {"v": ("f",)}) as submission:
        submission.add_labels("v", "f", _LABELS)
    with zipfile.ZipFile(tmp_path / "vos.zip") as archive:
        assert archive.namelist() == ["Annotations/v/f.png"]
        image = Image.open(io.BytesIO(archive.read("Annotations/v/f.png")))
    assert image.mode == "P"
    colours = np.array(image.convert("RGB"))
    assert [colours[0, 1].tolist(), colours[0, 2].tolist(), colours[1, 0].tolist()] == [
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
    ]


def test_masks_of_expressions_are_white_whichever_way_they_are_read(tmp_path: Path) -> None:
    mask = np.array([[True, False, True]])
    with PngSubmission(tmp_path / "ref.zip", {"v/0": ("f",), "v/1": ("f",)}) as submission:
        submission.add_mask("v/0", "f", mask)
        submission.add_mask("v/1", "f", ~mask)
    first, second = read_pngs(tmp_path / "ref.zip")
    assert (first.folder, second.folder) == ("v/0", "v/1")
    assert np.array_equal(first.labels == 255, mask)
    with zipfile.ZipFile(tmp_path / "ref.zip") as archive:
        image = Image.open(io.BytesIO(archive.read("Annotations/v/0/f.png")))
    assert np.array(image.convert("L")).tolist() == [[255, 0, 255]]


def test_missing_frames_are_named_and_leave_no_file(tmp_path: Path) -> None:
    submission = PngSubmission(tmp_path / "vos.zip", _FRAMES)
    with pytest.raises(InputError, match=r"none for 1, first \[\('0a1b', '00005'\)\]"), submission:
        submission.add_labels("0a1b", "00000", _LABELS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "frame", "labels", "message"),
    [
        ("other", "00000", _LABELS, "folder of the split"),
        ("0a1b", "../00000", _LABELS, "relative file name"),
        ("0a1b", "00000", _LABELS + 1, r"0\.\.255"),
        ("0a1b", "00000", _LABELS[0], "height, width"),
    ],
)
def test_what_a_server_cannot_read_is_refused(
    tmp_path: Path, folder: str, frame: str, labels: np.ndarray[tuple[int, ...], np.dtype[np.int64]], message: str
) -> None:
    submission = PngSubmission(tmp_path / "vos.zip", _FRAMES)
    with pytest.raises(InputError, match=message), submission:
        submission.add_labels(folder, frame, labels)
    assert list(tmp_path.iterdir()) == []


def test_frame_cannot_be_given_twice(tmp_path: Path) -> None:
    submission = PngSubmission(tmp_path / "vos.zip", {"v": ("f",)})
    with pytest.raises(InputError, match="new relative file name"), submission:
        submission.add_labels("v", "f", _LABELS)
        submission.add_labels("v", "f", _LABELS)


def test_other_zips_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("v/f.png", b"")
    with pytest.raises(InputError, match="zip that folder alone"):
        list(read_pngs(tmp_path / "a.zip"))
    (tmp_path / "b.zip").write_bytes(b"no zip")
    with pytest.raises(InputError, match="zip of indexed PNG"):
        list(read_pngs(tmp_path / "b.zip"))
