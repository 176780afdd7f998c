"""Every format, read back by the library that defines it, or by a plain reader of its published description."""

import gc
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from PIL import Image as PillowImage
from pycocotools import mask as reference
from pycocotools.coco import COCO
from tests.service.exports.results import (
    SIZE,
    VIDEO,
    BoolMask,
    answer,
    export,
    fill_even_odd,
    frame,
    masks,
    ring,
    square,
    story,
    true_masks,
)

from univs_service.exports import FORMATS, ExportError, ExportFormat, FrameAddress, info_of, open_export, read_names
from univs_service.exports.brush import encode_brush
from univs_service.exports.cvat_tracks import largest_outline
from univs_service.exports.rings import trace_parts

# pycocotools makes its arrays in the way of numpy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def ring_of(text: str) -> NDArray[np.float64]:
    return np.array([[float(number) for number in pair.split(",")] for pair in text.split(";")])


# --- COCO ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ExportFormat.COCO_RLE, ExportFormat.COCO_RLE_RAW])
def test_coco_gives_the_masks_to_pycocotools(tmp_path: Path, kind: ExportFormat) -> None:
    path = export(tmp_path / "out.json", kind, story())

    data = COCO(path)

    notes: list[Any] = list(data.anns.values())  # Any: the stubs know the keys of detection only
    read = {(note["image_id"], note["track_id"]): data.annToMask(note) > 0 for note in notes}
    expected = true_masks(story())
    assert read.keys() == expected.keys()
    assert all(np.array_equal(read[key], mask) for key, mask in expected.items())
    assert sorted(data.imgs) == [0, 1, 3]
    assert {each["name"] for each in data.cats.values()} == {"dog", "object"}
    assert min(data.anns) == 1
    compressed = {isinstance(note["segmentation"]["counts"], str) for note in notes}
    assert compressed == {kind is ExportFormat.COCO_RLE}
    assert (notes[0]["area"], notes[0]["bbox"]) == (100, [3, 2, 10, 10])


def test_coco_of_no_frames_is_still_whole(tmp_path: Path) -> None:
    assert COCO(export(tmp_path / "out.json", ExportFormat.COCO_RLE, [])).anns == {}


# --- YouTube-VIS --------------------------------------------------------------------------------------------------


def test_youtube_vis_has_a_mask_or_null_for_every_frame(tmp_path: Path) -> None:
    folder = export(tmp_path / "vis", ExportFormat.YOUTUBE_VIS, story())

    tracks = json.loads((folder / "results.json").read_text())

    assert [track["video_id"] for track in tracks] == [1, 1]
    assert tracks[0]["score"] == pytest.approx((0.8 + 0.6) / 2)  # over the frames in which it is there
    present = [[index for index, each in enumerate(track["segmentations"]) if each is not None] for track in tracks]
    assert present == [[0, 3], [1, 3]]
    assert [len(track["segmentations"]) for track in tracks] == [4, 4]
    expected = true_masks(story())
    for track in tracks:
        for index, segmentation in enumerate(track["segmentations"]):
            if segmentation is not None:
                assert np.array_equal(reference.decode(segmentation) > 0, expected[index, track["object_id"]])


def test_youtube_vis_data_set_agrees_with_its_results(tmp_path: Path) -> None:
    path = export(tmp_path / "vis.zip", ExportFormat.YOUTUBE_VIS, story())

    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["clip/results.json", "clip/instances.json"]
        tracks = json.loads(archive.read("clip/results.json"))
        data = json.loads(archive.read("clip/instances.json"))

    assert data["videos"][0] | {"file_names": []} == {
        **{"id": 1, "name": "clip.mp4", "width": SIZE[1], "height": SIZE[0], "length": 4, "file_names": []}
    }
    assert data["videos"][0]["file_names"][3] == "clip/00003.jpg"
    for note, track in zip(data["annotations"], tracks, strict=True):
        compressed = [
            None if raw is None else reference.frPyObjects(raw, note["height"], note["width"])
            for raw in note["segmentations"]
        ]
        assert [None if each is None else each["counts"].decode() for each in compressed] == [
            None if each is None else each["counts"] for each in track["segmentations"]
        ]
        for each, area, box in zip(compressed, note["areas"], note["bboxes"], strict=True):
            assert (each is None) == (area is None) == (box is None)
            if each is not None:
                assert (reference.area(each), reference.toBbox(each).tolist()) == (area, box)
    names = {each["id"]: each["name"] for each in data["categories"]}
    assert [names[note["category_id"]] for note in data["annotations"]] == ["dog", "object"]


# --- DAVIS and panoptic PNG ---------------------------------------------------------------------------------------


def test_an_archive_holds_the_pictures_of_the_folder(tmp_path: Path) -> None:
    folder = export(tmp_path / "masks", ExportFormat.DAVIS, story())
    path = export(tmp_path / "masks.zip", ExportFormat.DAVIS, story())

    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["clip/00000.png", "clip/00001.png", "clip/00003.png"]
        for name in archive.namelist():
            assert archive.read(name) == (folder / Path(name).name).read_bytes()


def test_panoptic_pictures_and_segments_agree(tmp_path: Path) -> None:
    """A reader of the published format: a pixel's segment is R + 256 G + 65536 B; `segments_info` lists them all."""
    large = 70_000
    results = [frame(0, answer(1, square(5, 5), score=0.9, label="dog"), answer(large, square(10, 10), score=0.4))]
    folder = export(tmp_path / "panoptic", ExportFormat.PANOPTIC, results)

    data = json.loads((folder / "panoptic.json").read_text())

    (annotation,) = data["annotations"]
    colours = np.asarray(PillowImage.open(folder / "panoptic" / annotation["file_name"])).astype(int)
    segments = colours @ np.array([1, 256, 65536])
    infos = {info["id"]: info for info in annotation["segments_info"]}
    assert set(np.unique(segments)) == {0, *infos}
    for number, info in infos.items():
        rows, columns = np.nonzero(segments == number)
        x, y, width, height = info["bbox"]
        assert info["area"] == rows.size
        assert (x, y, x + width - 1, y + height - 1) == (columns.min(), rows.min(), columns.max(), rows.max())
    assert (infos[1]["area"], infos[large]["area"]) == (100, 75)  # the higher score is in front
    assert {each["id"] for each in data["categories"]} == {info["category_id"] for info in infos.values()}
    assert [image["id"] for image in data["images"]] == [annotation["image_id"]]


def test_a_covered_object_is_no_segment(tmp_path: Path) -> None:
    results = [frame(0, answer(1, square(5, 5), score=0.9), answer(2, square(7, 7, side=4), score=0.3))]

    folder = export(tmp_path / "out", ExportFormat.PANOPTIC, results)

    (annotation,) = json.loads((folder / "panoptic.json").read_text())["annotations"]
    assert [info["id"] for info in annotation["segments_info"]] == [1]


def test_of_equal_scores_the_lower_id_is_in_front(tmp_path: Path) -> None:
    results = [frame(0, answer(2, square(5, 5)), answer(1, square(10, 10)))]

    folder = export(tmp_path / "out", ExportFormat.DAVIS, results)

    values = np.asarray(PillowImage.open(folder / "00000.png"))
    assert [(values == number).sum() for number in (1, 2)] == [100, 75]


# --- polygons -----------------------------------------------------------------------------------------------------


def test_polygons_with_holes_give_back_the_very_masks(tmp_path: Path) -> None:
    path = export(tmp_path / "out.geojson", ExportFormat.POLYGONS, story())

    features = json.loads(path.read_text())["features"]

    expected = true_masks(story())
    assert len(features) == len(expected)
    for feature in features:
        geometry, properties = feature["geometry"], feature["properties"]
        polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        rings = [np.array(each) for polygon in polygons for each in polygon]
        assert all(np.array_equal(each[0], each[-1]) for each in rings)
        mask = fill_even_odd([each[:-1] for each in rings], SIZE)
        assert np.array_equal(mask, expected[properties["frame_index"], properties["object_id"]])
    kinds = [(feature["geometry"]["type"], feature["properties"]["label"]) for feature in features]
    assert kinds == [("Polygon", "dog"), ("Polygon", None), ("MultiPolygon", "dog"), ("Polygon", None)]
    assert len(features[1]["geometry"]["coordinates"]) == 2  # an outline and a hole


@given(masks)
@settings(max_examples=80, deadline=None)
def test_outlines_are_read_by_pycocotools_to_the_pixel(mask: BoolMask) -> None:
    """COCO's polygons have no holes, so holes are taken away again."""
    height, width = mask.shape
    read = np.zeros(mask.shape, dtype=np.bool_)
    for part in trace_parts(mask):
        outline = reference.frPyObjects([part.outline.ravel().astype(float).tolist()], height, width)
        own = reference.decode(reference.merge(outline)) > 0
        for hole in part.holes:
            inner = reference.frPyObjects([hole.ravel().astype(float).tolist()], height, width)
            own &= reference.decode(reference.merge(inner)) == 0
        read |= own

    assert np.array_equal(read, mask)


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


# --- all of them --------------------------------------------------------------------------------------------------

TEXTS = [info.format for info in FORMATS if info.format is not ExportFormat.OVERLAY]


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
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()

    assert (sizes[-1] - sizes[11]) / 12 < 1500  # an archive keeps the name of every picture


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
