"""COCO, YouTube-VIS, DAVIS, panoptic PNG and polygons: read back by pycocotools, or by plain readers of the formats."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image as PillowImage
from pycocotools import mask as reference
from pycocotools.coco import COCO
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

from univs_service.exports import ExportFormat
from univs_service.exports.rings import trace_parts

# pycocotools makes its arrays in the way of numpy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


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
