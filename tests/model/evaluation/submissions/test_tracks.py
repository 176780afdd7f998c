import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from univs import rle
from univs.errors import InputError
from univs.evaluation.submissions.tracks import read_tracks, write_tracks
from univs.evaluation.video_instances import ScoredTrack

_MASK = rle.encode(np.eye(6, 8, dtype=np.bool_))
_TRACKS = (ScoredTrack(1, 26, 0.625, (_MASK, None, _MASK)), ScoredTrack(4, 3, 0.1, (None,)))
_NUM_FRAMES = {1: 3, 4: 1, 9: 20}


@pytest.mark.parametrize("name", ["results.json", "results.zip"])
def test_tracks_are_read_back_as_they_were_written(tmp_path: Path, name: str) -> None:
    write_tracks(tmp_path / "sub" / name, _TRACKS, _NUM_FRAMES)
    assert read_tracks(tmp_path / "sub" / name) == _TRACKS
    assert [path.name for path in (tmp_path / "sub").iterdir()] == [name]


def test_the_file_has_the_fields_that_the_server_asks_for(tmp_path: Path) -> None:
    write_tracks(tmp_path / "results.zip", _TRACKS, _NUM_FRAMES)
    with zipfile.ZipFile(tmp_path / "results.zip") as archive:
        assert archive.namelist() == ["results.json"]
        first, second = json.loads(archive.read("results.json"))
    encoded = {"size": [6, 8], "counts": _MASK.counts}
    assert first == {"video_id": 1, "category_id": 26, "score": 0.625, "segmentations": [encoded, None, encoded]}
    assert second["segmentations"] == [None]


def test_equal_tracks_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        write_tracks(tmp_path / name, _TRACKS, _NUM_FRAMES)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("num_frames", [{1: 4, 4: 1}, {4: 1}])
def test_tracks_of_another_length_or_video_are_refused_and_leave_no_file(
    tmp_path: Path, num_frames: dict[int, int]
) -> None:
    with pytest.raises(InputError, match="masks for video 1"):
        write_tracks(tmp_path / "results.zip", _TRACKS, num_frames)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"{", b"[1]", b'[{"video_id": 1}]', b'{"a": 1}'])
def test_files_of_another_format_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(InputError, match="list of tracks"):
        read_tracks(tmp_path / "results.json")
    (tmp_path / "results.zip").write_bytes(content)
    with pytest.raises(InputError, match="list of tracks"):
        read_tracks(tmp_path / "results.zip")
