import json
from pathlib import Path

import numpy as np
import pytest
import torch

from univs import rle
from univs.data.formats.burst import common_categories, open_burst
from univs.data.formats.davis2017 import open_davis2017, open_ref_davis
from univs.data.formats.label_videos import NO_OBJECT
from univs.data.formats.mose import open_mose
from univs.data.formats.segmentations import to_rle
from univs.data.formats.video_json import open_video_json, read_video_json
from univs.data.formats.viposeg import kind_of, open_viposeg
from univs.data.formats.vipseg import VipSeg
from univs.data.formats.vspw import VOID, Vspw
from univs.data.formats.youtube_vos import open_ref_youtube_vos, open_youtube_vos, seen_categories
from univs.errors import InputError

from .miniatures import (
    FRAMES,
    HEIGHT,
    WIDTH,
    label_map,
    write_burst,
    write_davis2017,
    write_labels,
    write_mose,
    write_ref_davis,
    write_ref_youtube_vos,
    write_video_json,
    write_viposeg,
    write_vipseg,
    write_vspw,
    write_youtube_vos,
)


def _mask(frame: int, number: int) -> torch.Tensor:
    return torch.from_numpy(label_map(frame) == number)


def test_davis2017_gives_the_objects_of_its_first_frame(tmp_path: Path) -> None:
    write_davis2017(tmp_path)
    source = open_davis2017(tmp_path, "val")
    picture = source.read(0, 2)
    assert (source.name, len(source), source.num_frames(0)) == ("davis2017-val", 1, 3)
    assert source.videos[0].frame_names == FRAMES
    assert [each.object_id for each in source.videos[0].objects] == [1, 2]
    assert torch.equal(picture.masks[0], _mask(3, 1))
    assert torch.equal(picture.masks[1], _mask(3, 2))


def test_ref_davis_gives_the_expressions_of_one_annotator(tmp_path: Path) -> None:
    write_ref_davis(tmp_path)
    assert open_ref_davis(tmp_path, "val", 1).read(0, 0).texts == ("a goat", "a grey stone")
    first, second = open_ref_davis(tmp_path, "val", 3).read(0, 0).texts
    assert first.startswith("a goat") and first.endswith("s head")  # a byte that is not UTF-8 does no harm
    assert second == "stone"
    with pytest.raises(InputError, match="Davis17_annot2"):
        open_ref_davis(tmp_path, "val", 2)
    (tmp_path / "davis_text_annotations" / "Davis17_annot1.txt").write_text('goat 1 "a goat"\n', encoding="utf-8")
    with pytest.raises(InputError, match="expression for object 2"):
        open_ref_davis(tmp_path, "val", 1)
    (tmp_path / "davis_text_annotations" / "Davis17_annot1.txt").write_text("goat one\n", encoding="utf-8")
    with pytest.raises(InputError, match="lines of CLIP OBJECT"):
        open_ref_davis(tmp_path, "val", 1)


def test_youtube_vos_gives_each_object_from_its_first_frame_with_its_class(tmp_path: Path) -> None:
    write_youtube_vos(tmp_path)
    source = open_youtube_vos(tmp_path, "valid")
    assert [video.name for video in source.videos] == ["0a", "1b"]
    assert source.vocabulary == ("bird", "yak")
    first, second = source.videos[0].objects
    assert (first.first_position, second.first_position) == (0, 1)
    assert source.read(0, 1).category_ids == (0, 1)
    assert torch.equal(source.read(0, 1).masks[1], _mask(1, 2))
    assert not source.read(0, 2).masks.any()  # not annotated in this split
    assert seen_categories(tmp_path) == {"ape", "bird"}


def test_ref_youtube_vos_gives_a_row_for_each_expression(tmp_path: Path) -> None:
    write_ref_youtube_vos(tmp_path)
    train, valid = open_ref_youtube_vos(tmp_path, "train"), open_ref_youtube_vos(tmp_path, "valid")
    assert [each.expression_id for each in train.videos[0].objects] == ["0", "1", "2"]
    masks = train.read(0, 1).masks
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[2], _mask(1, 2))
    assert valid.read(0, 1).texts == ("a grey goat", "the goat on the left", "a stone")
    assert {each.object_id for each in valid.videos[0].objects} == {NO_OBJECT}
    assert not valid.read(0, 1).masks.any()


def test_mose_gives_the_objects_of_its_first_frame(tmp_path: Path) -> None:
    write_mose(tmp_path)
    source = open_mose(tmp_path, "valid")
    assert [each.object_id for each in source.videos[0].objects] == [1, 2]
    assert source.videos[0].mask_paths[1:] == (None, None)
    (tmp_path / "valid" / "Annotations" / "0a" / "00000.png").unlink()
    with pytest.raises(InputError, match="first frame of video '0a'"):
        open_mose(tmp_path, "valid")


def test_viposeg_gives_things_and_stuff_where_they_are_given(tmp_path: Path) -> None:
    write_viposeg(tmp_path)
    source = open_viposeg(tmp_path, "valid")
    first, second = source.videos[0].objects
    assert (first.first_position, first.category_id) == (0, 60)
    assert (second.first_position, second.category_id) == (1, 9)
    assert torch.equal(source.read(0, 2).masks[1], _mask(2, 2))
    (tmp_path / "valid" / "obj_class.json").write_text('{"0a": {"1": 60}}', encoding="utf-8")
    with pytest.raises(InputError, match="class of object 2"):
        open_viposeg(tmp_path, "valid")


@pytest.mark.parametrize(
    ("video", "category_id", "is_thing", "is_seen"),
    [
        ("0a", 60, True, True),
        ("0a", 102, True, False),
        ("0a", 28, False, True),
        ("0a", 9, False, False),
        ("0a", 98, False, True),
        ("187_WUZUSD4477I", 98, False, False),
    ],
)
def test_viposeg_knows_four_groups(video: str, category_id: int, is_thing: bool, is_seen: bool) -> None:
    kind = kind_of(video, category_id)
    assert (kind.is_thing, kind.is_seen) == (is_thing, is_seen)


def test_viposeg_has_58_things_and_66_stuff_classes_of_which_17_each_are_unseen() -> None:
    kinds = [kind_of("0a", category_id) for category_id in range(124)]
    assert sum(kind.is_thing for kind in kinds) == 58
    assert sum(kind.is_thing and not kind.is_seen for kind in kinds) == 17
    assert sum(not kind.is_thing and not kind.is_seen for kind in kinds) == 17


def test_video_json_gives_tracks_in_all_three_encodings(tmp_path: Path) -> None:
    write_video_json(tmp_path)
    source = open_video_json(tmp_path, "train", "ytvis2021")
    assert (source.name, len(source), source.num_frames(0)) == ("ytvis2021-train", 2, 3)
    assert (source.vocabulary, source.category_ids) == (("stone", "goat"), (2, 5))
    picture = source.read(0, 1)
    assert picture.category_ids == (1, 0)  # the crowd is left out
    assert torch.equal(picture.masks[0], _mask(1, 1))
    assert torch.equal(picture.masks[1], _mask(1, 2))
    text, numbers, crowd = source.videos[0].tracks
    assert (numbers.masks[0], crowd.is_crowd) == (None, True)
    assert crowd.masks[2] is not None and rle.area(crowd.masks[2]) > 0
    assert source.videos[1].tracks == ()
    assert text.masks[0] == rle.encode(label_map(0) == 1)


def test_video_json_without_annotations_gives_frames_alone(tmp_path: Path) -> None:
    write_video_json(tmp_path)
    source = open_video_json(tmp_path, "valid", "ovis")
    assert source.read(0, 0).masks.shape == (0, HEIGHT, WIDTH)


def test_video_json_that_is_malformed_is_refused(tmp_path: Path) -> None:
    write_video_json(tmp_path)
    path = tmp_path / "train" / "instances.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"][0]["segmentations"].pop()
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="one per frame"):
        open_video_json(tmp_path, "train", "ovis")
    content["annotations"][0] = {"video_id": 1}
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="official format"):
        open_video_json(tmp_path, "train", "ovis")
    path.write_text("[", encoding="utf-8")
    with pytest.raises(InputError, match="to be JSON"):
        read_video_json(path, tmp_path, "mine")
    path.write_text('{"videos": []}', encoding="utf-8")
    with pytest.raises(InputError, match="hold videos, categories"):
        read_video_json(path, tmp_path, "mine")


def test_segmentation_of_another_size_or_kind_is_refused() -> None:
    assert to_rle(None, (4, 4)) is None
    assert to_rle([], (4, 4)) is None
    with pytest.raises(InputError, match="4 x 4 pixels"):
        to_rle({"size": [3, 3], "counts": "9"}, (4, 4))
    with pytest.raises(InputError, match="polygons or run lengths"):
        to_rle({"counts": "9"}, (4, 4))


def test_burst_gives_tracks_and_what_is_known_of_other_classes(tmp_path: Path) -> None:
    write_burst(tmp_path)
    source = open_burst(tmp_path, "val")
    (video,) = source.videos
    assert (video.name, source.vocabulary, source.category_ids) == (
        "LaSOT/goat-1",
        ("goat", "stone", "yak"),
        (5, 44, 90),
    )
    assert [(track.track_id, track.category_id) for track in video.tracks] == [(1, 0), (2, 1)]
    assert [path.stem for path in video.frame_paths] == ["00000", "00002", "00005", "00010"]
    assert video.absent_categories == {2}
    assert video.incomplete_categories == {0}
    assert video.tracks[1].masks[0] is None
    assert torch.equal(source.read(0, 1).masks[1], _mask(1, 2))
    assert not source.is_exhaustive
    assert common_categories(tmp_path) == {5}


def test_vipseg_gives_ids_segments_and_things(tmp_path: Path) -> None:
    write_vipseg(tmp_path)
    source = VipSeg(tmp_path, "val")
    assert (source.vocabulary, source.is_thing, source.category_ids) == (("rock", "goat"), (False, True), (0, 3))
    assert [(each.segment_id, each.category_id) for each in source.videos[0].segments] == [(300, 1), (70000, 0)]
    assert np.array_equal(source.read_ids(0, 1), np.array([0, 300, 70000])[label_map(1)])
    assert torch.equal(source.read(0, 1).masks[1], _mask(1, 2))
    assert not source.read(0, 0).masks[1].any()


def test_vspw_gives_classes_and_two_kinds_of_void(tmp_path: Path) -> None:
    write_vspw(tmp_path)
    source = Vspw(tmp_path, "val")
    assert source.vocabulary == ("wall", "goat", "yak")
    classes = source.read_classes(0, 1)
    assert set(np.unique(classes).tolist()) == {VOID, 0, 1}
    assert (classes[0] == VOID).all()
    picture = source.read(0, 0)
    assert picture.texts == ("wall", "goat")  # of the whole video; the goat comes later
    assert not picture.masks[1].any()
    (tmp_path / "label_num_dic_final.json").write_text('{"wall": 7}', encoding="utf-8")
    with pytest.raises(InputError, match=r"labels 1\.\.K"):
        Vspw(tmp_path, "val")


def test_annotation_of_another_size_than_its_frame_is_refused(tmp_path: Path) -> None:
    write_davis2017(tmp_path)
    write_labels(tmp_path / "Annotations" / "480p" / "goat" / "00005.png", np.zeros((4, 4), dtype=np.uint8))
    with pytest.raises(InputError, match="size"):
        open_davis2017(tmp_path, "val").read(0, 1)
