"""Frames that were divided among segments: what becomes of a map in every kind of export."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from tests.service.exports.results import SIZE, VIDEO, answer, export, frame, segment, square

from univs_service.exports import FORMATS, ExportError, ExportFormat, ResultsDocument, decode_mask, info_of, open_export
from univs_service.exports.painting import colour_of, paint
from univs_service.messages import FrameResultEvent, RleMask, SegmentMapResult

REGIONS = [info.format for info in FORMATS if not info.needs_image and info.format is not ExportFormat.JSON]
TOP = np.arange(SIZE[0])[:, None].repeat(SIZE[1], axis=1) < 20
SKY, DOG = segment(3, TOP, "sky", 187), segment(9, ~TOP, "dog", 18, is_thing=True)


def divided(index: int) -> FrameResultEvent:
    """A frame of sky and a dog, with an entity beside the map as `vis` and `vps` together give it."""
    entity = answer(1, square(25, 5), label="dog").model_copy(update={"category_id": 18, "is_thing": True})
    return frame(index, entity).model_copy(update={"panoptic": SegmentMapResult(segments_info=[SKY, DOG])})


def test_json_keeps_objects_and_maps(tmp_path: Path) -> None:
    export(tmp_path / "out.json", ExportFormat.JSON, [divided(0)])
    (record,) = ResultsDocument.model_validate_json((tmp_path / "out.json").read_text()).frames
    assert record.panoptic == SegmentMapResult(segments_info=[SKY, DOG])
    assert [each.object_id for each in record.objects] == [1]
    assert record.semantic is None


@pytest.mark.parametrize("kind", REGIONS)
def test_every_format_takes_segments_for_objects(tmp_path: Path, kind: ExportFormat) -> None:
    path = export(tmp_path / f"out{info_of(kind).suffix}", kind, [divided(0), divided(1)])
    assert path.stat().st_size > 0


def test_coco_has_the_segments_under_the_ids_of_their_data_set(tmp_path: Path) -> None:
    path = export(tmp_path / "out.json", ExportFormat.COCO_RLE, [divided(0)])
    data = json.loads(path.read_text())
    assert {each["name"]: each["id"] for each in data["categories"]} == {"sky": 187, "dog": 18}
    notes = {note["track_id"]: note for note in data["annotations"]}
    assert np.array_equal(decode_mask(RleMask.model_validate(notes[3]["segmentation"])), TOP)
    assert notes[9]["category_id"] == 18


def test_panoptic_says_what_is_a_thing(tmp_path: Path) -> None:
    export(tmp_path / "out", ExportFormat.PANOPTIC, [divided(0)])
    content = json.loads((tmp_path / "out" / "panoptic.json").read_text())
    assert [(each["id"], each["isthing"]) for each in content["categories"]] == [(18, 1), (187, 0)]
    (annotation,) = content["annotations"]
    assert {each["id"]: each["category_id"] for each in annotation["segments_info"]} == {3: 187, 9: 18}
    values = np.asarray(PillowImage.open(tmp_path / "out" / "panoptic" / "00000.png"))[:, :, 0]
    assert np.array_equal(values == 3, TOP)


def beside(object_id: int) -> FrameResultEvent:
    """A divided frame with an object that a user prompted."""
    prompted = answer(object_id, square(25, 5), label="mine")
    result = divided(0)
    return result.model_copy(update={"objects": [*result.objects, prompted]})


def test_objects_that_a_user_prompted_stay_beside_the_segments(tmp_path: Path) -> None:
    path = export(tmp_path / "out.json", ExportFormat.COCO_RLE, [beside(900)])
    notes = json.loads(path.read_text())["annotations"]
    assert sorted(note["track_id"] for note in notes) == [3, 9, 900]


def test_an_object_with_the_id_of_a_segment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"got \[9\] twice in frame 0"):
        export(tmp_path / "out.json", ExportFormat.COCO_RLE, [beside(9)])


def test_an_indexed_picture_holds_a_semantic_map(tmp_path: Path) -> None:
    map_ = SegmentMapResult(segments_info=[SKY, DOG])
    export(tmp_path / "out", ExportFormat.DAVIS, [frame(0).model_copy(update={"semantic": map_})])
    values = np.asarray(PillowImage.open(tmp_path / "out" / "00000.png"))
    assert np.array_equal(values, np.where(TOP, 3, 9))


def test_numbers_of_other_names_keep_clear_of_those_of_a_data_set(tmp_path: Path) -> None:
    named = answer(2, square(0, 0), label="mine")
    entity = answer(1, square(25, 5), label="cat").model_copy(update={"category_id": 1})
    export(tmp_path / "out.json", ExportFormat.COCO_RLE, [frame(0, entity, named)])
    categories = json.loads((tmp_path / "out.json").read_text())["categories"]
    assert [(each["id"], each["name"]) for each in categories] == [(1, "cat"), (2, "mine")]


def test_an_entity_is_what_it_was_called_last(tmp_path: Path) -> None:
    def called(index: int, label: str, category_id: int) -> FrameResultEvent:
        return frame(index, answer(1, square(5, 5), label=label).model_copy(update={"category_id": category_id}))

    export(tmp_path / "out", ExportFormat.YOUTUBE_VIS, [called(0, "cat", 17), called(1, "dog", 18)])
    (track,) = json.loads((tmp_path / "out" / "results.json").read_text())
    assert track["category_id"] == 18


def test_a_map_is_painted_with_its_names_and_entities_are_not_painted_twice() -> None:
    grey = np.full((*SIZE, 3), 120, dtype=np.uint8)
    plain = paint(grey, divided(0))
    without = paint(grey, divided(0).model_copy(update={"objects": []}))
    assert np.array_equal(plain, without)
    bottom = plain[44, 60].astype(int)
    assert np.abs(bottom - np.array(colour_of(DOG))).max() <= 1  # the outline at the border of the frame
    texts = (plain[:20] == np.array(colour_of(SKY), dtype=np.uint8)).all(axis=2).sum()
    assert texts > 2 * SIZE[1]  # a patch of the colour for the text, besides the outline


def test_prompted_objects_lie_above_a_map() -> None:
    grey = np.full((*SIZE, 3), 120, dtype=np.uint8)
    prompted = answer(5, square(25, 40))
    both = divided(0).model_copy(update={"objects": [prompted]})
    assert not np.array_equal(paint(grey, both), paint(grey, divided(0)))


def test_a_warning_is_written_into_the_picture() -> None:
    grey = np.full((240, 320, 3), 120, dtype=np.uint8)
    event = FrameResultEvent(
        seq=1, run_id=1, frame_index=0, pts=0, time_base="1/25", size=(240, 320), weights="nano", objects=[]
    )
    words = "these weights were not trained to find categories, so what they say of them is noise and means nothing"
    warned = paint(grey, event.model_copy(update={"warning": words}))
    assert np.array_equal(paint(grey, event), grey)
    assert (warned != grey).any(axis=(1, 2)).sum() > 20  # two lines
    assert np.array_equal(warned[:, -2:], grey[:, -2:])


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.webp"])
def test_a_picture_shows_the_last_frame(tmp_path: Path, name: str) -> None:
    grey = np.full((*SIZE, 3), 120, dtype=np.uint8)
    with open_export(tmp_path / name, VIDEO) as sink:
        assert sink.needs_image
        for index in range(2):
            sink.write(frame(index, answer(1, square(2 + 20 * index, 30))), grey)
    with PillowImage.open(tmp_path / name) as picture:
        shown = np.asarray(picture.convert("RGB")).astype(int)
    assert shown.shape == (*SIZE, 3)
    assert np.abs(shown[2:8, 30:39] - 120).max() < 40
    assert np.abs(shown[28:31, 32:38] - 120).mean() > 20
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_picture_of_nothing_is_not_written(tmp_path: Path) -> None:
    with open_export(tmp_path / "out.png", VIDEO):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_leaves_no_picture(tmp_path: Path) -> None:
    small = np.zeros((4, 4, 3), dtype=np.uint8)
    with pytest.raises(ExportError, match="4x4 pixels"), open_export(tmp_path / "out.png", VIDEO) as sink:
        sink.write(frame(0), small)
    assert list(tmp_path.iterdir()) == []
