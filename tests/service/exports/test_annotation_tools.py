"""CVAT and Label Studio: read back by plain readers of the published formats."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from tests.service.exports.results import (
    SIZE,
    BoolMask,
    answer,
    export,
    fill_even_odd,
    frame,
    masks,
    square,
    story,
    true_masks,
)

from univs_service.exports import ExportFormat, FrameAddress
from univs_service.exports.brush import encode_brush
from univs_service.exports.cvat_tracks import largest_outline


def ring_of(text: str) -> NDArray[np.float64]:
    return np.array([[float(number) for number in pair.split(",")] for pair in text.split(";")])


# --- CVAT ---------------------------------------------------------------------------------------------------------


def test_cvat_masks_are_read_back(tmp_path: Path) -> None:
    """A reader of the published format: runs row by row through the box of the mask, outside first."""
    root = ElementTree.parse(export(tmp_path / "out.xml", ExportFormat.CVAT, story())).getroot()

    read = {}
    for image in root.iter("image"):
        for shape in image.iter("mask"):
            left, top, width, height = (int(shape.attrib[name]) for name in ("left", "top", "width", "height"))
            runs = [int(run) for run in shape.attrib["rle"].split(",")]
            values = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
            mask = np.zeros(SIZE, dtype=np.bool_)
            mask[top : top + height, left : left + width] = values
            attribute = shape.find("attribute[@name='object_id']")
            assert attribute is not None and attribute.text == shape.attrib["group_id"]
            read[int(image.attrib["id"]), int(shape.attrib["group_id"])] = mask
    expected = true_masks(story())
    assert read.keys() == expected.keys()
    assert all(np.array_equal(read[key], mask) for key, mask in expected.items())
    assert [name.text for name in root.findall("meta/task/labels/label/name")] == ["dog", "object"]
    assert root.findtext("version") == "1.1"


def test_cvat_tracks_follow_an_object_and_say_where_it_is_not(tmp_path: Path) -> None:
    root = ElementTree.parse(export(tmp_path / "out.xml", ExportFormat.CVAT_TRACKS, story())).getroot()

    tracks = {int(track.attrib["group_id"]): track for track in root.iter("track")}

    stays = {
        object_id: [(int(shape.attrib["frame"]), shape.attrib["outside"]) for shape in track.iter("polygon")]
        for object_id, track in tracks.items()
    }
    assert stays == {1: [(0, "0"), (1, "1"), (3, "0")], 7: [(1, "0"), (3, "0")]}
    assert {shape.attrib["keyframe"] for shape in root.iter("polygon")} == {"1"}
    assert [tracks[number].attrib["label"] for number in (1, 7)] == ["dog", "object"]
    corners = ring_of(tracks[1].findall("polygon")[0].attrib["points"])
    assert np.array_equal(fill_even_odd([corners], SIZE), square(2, 3))
    outer = ring_of(tracks[7].findall("polygon")[0].attrib["points"])
    assert np.array_equal(fill_even_odd([outer], SIZE), square(10, 20, 20))  # a track has no holes


def test_cvat_polygon_is_the_largest_part() -> None:
    outline = largest_outline(answer(1, square(2, 2, 5) | square(20, 20, 12) | square(40, 50, 4)))

    assert np.array_equal(fill_even_odd([outline.astype(float)], SIZE), square(20, 20, 12))


def test_names_are_escaped(tmp_path: Path) -> None:
    results = [frame(0, answer(1, square(2, 3), label="a \"<b>\" & 'c'"))]

    for kind, tag in ((ExportFormat.CVAT, "mask"), (ExportFormat.CVAT_TRACKS, "track")):
        root = ElementTree.parse(export(tmp_path / "out.xml", kind, results)).getroot()
        shape = root.find(f".//{tag}")
        assert shape is not None and shape.attrib["label"] == "a \"<b>\" & 'c'"
        assert root.findtext("meta/task/labels/label/name") == "a \"<b>\" & 'c'"


# --- Label Studio -------------------------------------------------------------------------------------------------


def decode_brush(values: list[int]) -> NDArray[np.int64]:
    """Read Label Studio's run lengths bit by bit."""
    bits = "".join(f"{value:08b}" for value in values)
    place = 0

    def read(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    num_values, value_bits = read(32), read(5) + 1
    widths = [read(4) + 1 for _ in range(4)]
    out: list[int] = []
    while len(out) < num_values:
        is_run, width = read(1), widths[read(2)]
        length = read(width) + 1
        out += [read(value_bits)] * length if is_run else [read(value_bits) for _ in range(length)]
    return np.array(out)


@given(masks)
@settings(max_examples=80, deadline=None)
def test_brush_is_decoded_to_the_mask(mask: BoolMask) -> None:
    rgba = decode_brush(encode_brush(mask)).reshape(*mask.shape, 4)

    assert np.array_equal(rgba == 255, np.repeat(mask[:, :, None], 4, axis=2))


def test_brush_splits_runs_that_are_longer_than_a_length_can_say() -> None:
    mask = np.zeros((300, 200), dtype=np.bool_)
    mask[200:] = True  # 160,000 values outside, 80,000 inside

    assert np.array_equal(decode_brush(encode_brush(mask)).reshape(300, 200, 4)[:, :, 3] == 255, mask)


def test_label_studio_has_a_task_with_brushes_for_every_frame(tmp_path: Path) -> None:
    address = FrameAddress("http://example.org/v1/videos/abc/frames/")
    tasks = json.loads(export(tmp_path / "o.json", ExportFormat.LABEL_STUDIO, story(), frames=address).read_text())

    expected = true_masks(story())
    assert [task["data"]["image"] for task in tasks] == [address.prefix + number for number in "013"]
    for task in tasks:
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "nano"
        for region in prediction["result"]:
            object_id = int(region["id"].split("-")[1])
            assert (region["original_height"], region["original_width"]) == SIZE
            mask = decode_brush(region["value"]["rle"]).reshape(*SIZE, 4)[:, :, 3] == 255
            assert np.array_equal(mask, expected[task["data"]["frame_index"], object_id])
    assert [region["value"]["brushlabels"] for region in tasks[2]["predictions"][0]["result"]] == [["dog"], ["object"]]


def test_label_studio_finds_frames_beside_the_video(tmp_path: Path) -> None:
    tasks = json.loads(export(tmp_path / "out.json", ExportFormat.LABEL_STUDIO, story()).read_text())

    assert tasks[2]["data"]["image"] == "clip/00003.jpg"


def test_label_studio_boxes_count_from_one_and_end_where_the_object_goes(tmp_path: Path) -> None:
    (task,) = json.loads(export(tmp_path / "out.json", ExportFormat.LABEL_STUDIO_VIDEO, story()).read_text())

    regions = {int(region["id"].split("-")[1]): region for region in task["predictions"][0]["result"]}
    stays = {
        object_id: [(box["frame"], box["enabled"]) for box in region["value"]["sequence"]]
        for object_id, region in regions.items()
    }
    assert stays == {1: [(1, False), (4, False)], 7: [(2, False), (4, False)]}
    box = regions[1]["value"]["sequence"][0]
    sides = [box["x"] * SIZE[1], box["y"] * SIZE[0], box["width"] * SIZE[1], box["height"] * SIZE[0]]
    assert sides == pytest.approx([300, 200, 1000, 1000])
    assert regions[1]["value"]["framesCount"] == 4
    assert regions[1]["value"]["duration"] == pytest.approx(4 / 25)


def test_label_studio_box_goes_on_while_the_object_stays(tmp_path: Path) -> None:
    results = [frame(index, answer(1, square(5 + index, 7))) for index in range(3)]

    (task,) = json.loads(export(tmp_path / "out.json", ExportFormat.LABEL_STUDIO_VIDEO, results).read_text())

    boxes = task["predictions"][0]["result"][0]["value"]["sequence"]
    assert [box["enabled"] for box in boxes] == [True, True, False]
