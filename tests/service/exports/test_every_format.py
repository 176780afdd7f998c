"""What holds for all formats: order, ids, names, memory."""

import gc
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from tests.service.exports.results import (
    SIZE,
    VIDEO,
    answer,
    export,
    frame,
    ring,
    square,
    story,
)

from univs_service.exports import FORMATS, ExportError, ExportFormat, info_of, open_export, read_names

TEXTS = [info.format for info in FORMATS if not info.needs_image]


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if kind is not ExportFormat.JSON])
def test_frames_come_once_and_in_order(tmp_path: Path, kind: ExportFormat) -> None:
    results = story()

    with pytest.raises(ExportError, match="rising order, got frame 0 after frame 1"):
        export(tmp_path / f"out{info_of(kind).suffix}", kind, [results[1], results[0]])

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", TEXTS)
def test_two_objects_with_one_id_are_refused(tmp_path: Path, kind: ExportFormat) -> None:
    with pytest.raises(ExportError, match="id of its own, got 4 twice"):
        export(
            tmp_path / f"out{info_of(kind).suffix}", kind, [frame(0, answer(4, square(0, 0)), answer(4, ring(5, 5)))]
        )

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "largest"), [(ExportFormat.DAVIS, 255), (ExportFormat.PANOPTIC, 2**24 - 1)])
def test_ids_that_a_picture_cannot_hold_are_refused(tmp_path: Path, kind: ExportFormat, largest: int) -> None:
    export(tmp_path / "fits", kind, [frame(0, answer(largest, square(0, 0)))])

    with pytest.raises(ExportError, match=rf"ids 1\.\.{largest}, got {largest + 1}; number the objects"):
        export(tmp_path / "out.zip", kind, [frame(0, answer(largest + 1, square(0, 0)))])

    assert [path.name for path in tmp_path.iterdir()] == ["fits"]


@pytest.mark.parametrize("kind", ExportFormat)
def test_a_name_of_another_kind_is_refused(tmp_path: Path, kind: ExportFormat) -> None:
    with pytest.raises(ExportError, match=rf"for {kind.value}, got '\.txt'"):
        export(tmp_path / "out.txt", kind, [])


@pytest.mark.parametrize("kind", TEXTS)
def test_memory_does_not_grow_with_the_video(tmp_path: Path, kind: ExportFormat) -> None:
    """A striped mask takes kilobytes in most formats; what stays of a frame is a few numbers at most."""
    stripes = np.indices(SIZE)[0] % 2 == 1
    each = answer(1, stripes)

    with open_export(tmp_path / f"out{info_of(kind).suffix}", VIDEO, kind) as sink:
        tracemalloc.start()
        sizes = []
        for index in range(24):
            sink.write(frame(index, each))
            if index in {11, 23}:
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()

    assert (sizes[1] - sizes[0]) / 12 < 1500  # an archive keeps the name of every picture


def test_names_given_by_the_user_take_the_place_of_labels(tmp_path: Path) -> None:
    with open_export(tmp_path / "out.json", VIDEO, ExportFormat.COCO_RLE, names={7: "ring"}) as sink:
        for result in story():
            sink.write(result)

    data = json.loads((tmp_path / "out.json").read_text())
    assert [each["name"] for each in data["categories"]] == ["dog", "ring"]


@pytest.mark.parametrize("option", ["dog", "1:", ":dog", "x:dog", "1: ", "²:dog", "1:a\x00b"])
def test_a_name_without_an_object_is_refused(option: str) -> None:
    assert read_names(["1:a:b", "2: brown  bear "]) == {1: "a:b", 2: "brown bear"}
    with pytest.raises(ExportError, match="OBJECT:NAME"):
        read_names([option])
