import json
from pathlib import Path

import numpy as np
import pytest
from tests.model.data.miniatures import write_burst

from univs import rle
from univs.data.formats.burst import read_burst
from univs.data.formats.json_files import read_json
from univs.errors import InputError
from univs.evaluation.submissions.exemplars import write_exemplars

_MASK = rle.encode(np.eye(12, 16, dtype=np.bool_))
_EMPTY = rle.encode(np.zeros((12, 16), dtype=np.bool_))


def test_masks_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    write_burst(tmp_path)
    annotation = read_json(tmp_path / "annotations" / "val" / "all_classes.json", ("sequences",))
    write_exemplars(tmp_path / "out.json", annotation, {7: [{1: _MASK, 2: _EMPTY}, {}, {2: _MASK}]})
    (video,) = read_burst(tmp_path / "out.json", tmp_path, "predictions").videos
    assert [track.masks for track in video.tracks] == [(_MASK, None, None), (None, None, _MASK)]
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert written["categories"] == annotation["categories"]


@pytest.mark.parametrize("frames", [{}, {7: [{}]}])
def test_missing_frames_are_refused_and_leave_no_file(
    tmp_path: Path, frames: dict[int, list[dict[int, rle.Rle]]]
) -> None:
    write_burst(tmp_path)
    annotation = read_json(tmp_path / "annotations" / "val" / "all_classes.json", ("sequences",))
    with pytest.raises(InputError, match="3 annotated frames of video goat-1"):
        write_exemplars(tmp_path / "out.json", annotation, frames)
    assert not (tmp_path / "out.json").exists()
