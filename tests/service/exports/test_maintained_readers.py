"""Exports read back by the tools they are for. They pin other versions of numpy and OpenCV than the project, so

    make readers

installs them into environments of their own and runs this file there; a test is skipped where its tool is missing.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.service.exports.results import (
    SIZE,
    BoolMask,
    answer,
    export,
    frame,
    ring,
    square,
    story,
    true_masks,
)

from univs_service.exports import ExportFormat
from univs_service.exports.brush import encode_brush

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

BRUSH_INTERFACE = """<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image"><Label value="dog"/><Label value="object"/></BrushLabels>
</View>"""
VIDEO_INTERFACE = """<View>
  <Labels name="labels" toName="video"><Label value="dog"/><Label value="object"/></Labels>
  <Video name="video" value="$video"/>
  <VideoRectangle name="box" toName="video"/>
</View>"""


# --- Label Studio's SDK -------------------------------------------------------------------------------------------


def test_label_studio_decodes_the_brush() -> None:
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    large = np.zeros((200, 300), dtype=np.bool_)
    large[150:] = True
    for mask in (ring(3, 4), square(0, 0, 1), np.ones(SIZE, dtype=np.bool_), large):
        decoded = brush.decode_rle(encode_brush(mask)).reshape(*mask.shape, 4)
        assert np.array_equal(decoded[:, :, 3] > 0, mask)


def test_label_studio_encodes_the_same_bytes() -> None:
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    for mask in (ring(3, 4), square(0, 0), ~square(5, 5)):
        theirs = brush.encode_rle(np.repeat(mask.ravel().astype(np.uint8) * 255, 4))
        ours = encode_brush(mask)
        assert theirs[: len(ours)] == ours and not any(theirs[len(ours) :])  # theirs may end in one zero more


@pytest.mark.parametrize(
    ("kind", "interface"),
    [(ExportFormat.LABEL_STUDIO, BRUSH_INTERFACE), (ExportFormat.LABEL_STUDIO_VIDEO, VIDEO_INTERFACE)],
)
def test_label_studio_accepts_tasks_and_predictions(tmp_path: Path, kind: ExportFormat, interface: str) -> None:
    sdk = pytest.importorskip("label_studio_sdk.label_interface")
    tasks = json.loads(export(tmp_path / "out.json", kind, story()).read_text())
    project = sdk.LabelInterface(interface)
    num_regions = 0
    for task in tasks:
        for prediction in task["predictions"]:
            assert project.validate_prediction(prediction, return_errors=True) == []
            num_regions += len(prediction["result"])
        assert set(task["data"]) >= {source.value_name for source in project.objects}
    assert num_regions == (4 if kind is ExportFormat.LABEL_STUDIO else 2)


# --- Datumaro -----------------------------------------------------------------------------------------------------


def write_pictures(folder: Path, name: str) -> None:
    """Datumaro reads annotations of pictures that are there only."""
    folder.mkdir(parents=True)
    for index in (0, 1, 3):
        Image.new("RGB", (SIZE[1], SIZE[0])).save(folder / name.format(index))


def datumaro_items(path: Path, kind: str) -> dict[int, list[Any]]:
    """The annotations that Datumaro reads, by frame."""
    datumaro = pytest.importorskip("datumaro")
    return {int(item.attributes["frame"]): item.annotations for item in datumaro.Dataset.import_from(str(path), kind)}


def test_datumaro_reads_the_masks_of_cvat(tmp_path: Path) -> None:
    pytest.importorskip("datumaro")
    write_pictures(tmp_path / "images", "frame_{:06d}.png")
    items = datumaro_items(export(tmp_path / "annotations.xml", ExportFormat.CVAT, story()), "cvat")
    read = {(index, note.group): np.asarray(note.image) > 0 for index, notes in items.items() for note in notes}
    expected = true_masks(story())
    assert read.keys() == expected.keys()
    assert all(np.array_equal(read[key], mask) for key, mask in expected.items())
    assert all(note.attributes["object_id"] == note.group for notes in items.values() for note in notes)


def test_datumaro_reads_the_tracks_of_cvat(tmp_path: Path) -> None:
    pytest.importorskip("datumaro")
    items = datumaro_items(export(tmp_path / "annotations.xml", ExportFormat.CVAT_TRACKS, story()), "cvat")
    stays = {index: [(note.group, note.attributes.get("outside")) for note in notes] for index, notes in items.items()}
    assert stays == {0: [(1, False)], 1: [(1, True), (7, False)], 3: [(1, False), (7, False)]}
    corners = items[0][0].points
    assert (min(corners[0::2]), max(corners[0::2]), min(corners[1::2]), max(corners[1::2])) == (3, 13, 2, 12)


@pytest.mark.parametrize("kind", [ExportFormat.COCO_RLE, ExportFormat.COCO_RLE_RAW])
def test_datumaro_reads_coco(tmp_path: Path, kind: ExportFormat) -> None:
    datumaro = pytest.importorskip("datumaro")
    path = export(tmp_path / "annotations" / "instances_clip.json", kind, story())
    write_pictures(tmp_path / "images" / "clip", "{:05d}.jpg")
    data = datumaro.Dataset.import_from(str(path.parents[1]), "coco_instances")
    expected = true_masks(story())
    notes = [(int(item.id), note) for item in data for note in item.annotations if isinstance(note, datumaro.Mask)]
    read = {(index, note.attributes["track_id"]): note.image > 0 for index, note in notes}
    assert all(np.array_equal(read[key], mask) for key, mask in expected.items()) and read.keys() == expected.keys()


def test_datumaro_reads_panoptic_pictures(tmp_path: Path) -> None:
    datumaro = pytest.importorskip("datumaro")
    folder = export(tmp_path / "out", ExportFormat.PANOPTIC, story())
    (tmp_path / "coco" / "annotations").mkdir(parents=True)
    (folder / "panoptic.json").rename(tmp_path / "coco" / "annotations" / "panoptic_clip.json")
    (folder / "panoptic").rename(tmp_path / "coco" / "annotations" / "panoptic_clip")
    write_pictures(tmp_path / "coco" / "images" / "clip", "{:05d}.jpg")
    data = datumaro.Dataset.import_from(str(tmp_path / "coco"), "coco_panoptic")
    read = {(int(item.id), note.group): np.asarray(note.image) > 0 for item in data for note in item.annotations}
    expected = true_masks(story())
    expected[3, 1] &= ~expected[3, 7]  # the ring has the higher score
    assert read.keys() == expected.keys()
    assert all(np.array_equal(read[key], mask) for key, mask in expected.items())


# --- TrackEval ----------------------------------------------------------------------------------------------------


def test_trackeval_finds_a_submission_perfect_on_its_own_data_set(tmp_path: Path) -> None:
    trackeval = pytest.importorskip("trackeval")
    folder = export(tmp_path / "out", ExportFormat.YOUTUBE_VIS, story())
    truth, own = tmp_path / "youtube_vis_all", tmp_path / "trackers" / "youtube_vis_all" / "univs" / "data"
    truth.mkdir()
    own.mkdir(parents=True)
    (folder / "instances.json").rename(truth / "instances.json")
    (folder / "results.json").rename(own / "results.json")
    places = {"GT_FOLDER": f"{tmp_path}/", "TRACKERS_FOLDER": f"{tmp_path / 'trackers'}/", "SPLIT_TO_EVAL": "all"}
    data = trackeval.datasets.YouTubeVIS({**places, "PRINT_CONFIG": False})
    metric = trackeval.metrics.TrackMAP({"PRINT_CONFIG": False, "USE_AREA_RANGES": False, "USE_TIME_RANGES": False})
    raw = data.get_raw_seq_data("univs", "clip")
    assert [len(each) for each in raw["tracker_dets"]] == [1, 1, 0, 2]
    for name in ("dog", "object"):
        result = metric.eval_sequence(data.get_preprocessed_seq_data(raw, name))
        assert metric.combine_sequences({"clip": result})["AP_all"] == pytest.approx(1.0)


# --- Shapely ------------------------------------------------------------------------------------------------------


def test_shapely_finds_the_polygons_valid_and_as_large_as_the_masks(tmp_path: Path) -> None:
    shapely = pytest.importorskip("shapely.geometry")
    chequered: BoolMask = np.indices(SIZE).sum(axis=0) % 2 == 1  # parts that meet in corners
    results = [*story(), frame(5, answer(1, chequered), answer(2, ~ring(5, 5) & ~square(30, 30)))]
    features = json.loads(export(tmp_path / "out.geojson", ExportFormat.POLYGONS, results).read_text())["features"]
    for feature in features:
        shape = shapely.shape(feature["geometry"])
        assert shape.is_valid
        assert shape.area == feature["properties"]["area"]
        assert list(shape.bounds) == feature["bbox"]
        outlines = shape.geoms if feature["geometry"]["type"] == "MultiPolygon" else [shape]
        assert all(outline.exterior.is_ccw for outline in outlines)
        assert not any(hole.is_ccw for outline in outlines for hole in outline.interiors)
