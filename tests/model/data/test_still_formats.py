"""Pictures with masks, in the layouts in which they are published."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from univs.data.formats.ade20k_segments import Ade20kSegments
from univs.data.formats.coco import CocoPanoptic, open_coco_instances, open_lvis
from univs.data.formats.label_pictures import VOID, open_ade20k, open_camvid
from univs.data.formats.refcoco import open_refcoco
from univs.data.formats.sa1b import Sa1b
from univs.data.sample import UNKNOWN_CATEGORY
from univs.errors import InputError

from .miniatures import (
    HEIGHT,
    WIDTH,
    label_map,
    write_ade20k,
    write_ade20k_segments,
    write_camvid,
    write_coco,
    write_image,
    write_labels,
    write_lvis,
    write_refcoco,
    write_sa1b,
)

_GOAT, _STONE = (torch.from_numpy(label_map(1) == number) for number in (1, 2))
# Real pictures lie beside the checkout where they are at hand; they are no part of the project.
_SHARED = Path(__file__).parents[4] / "shared" / "data"
_needs_coco = pytest.mark.skipif(not (_SHARED / "coco_mini").is_dir(), reason="no pictures of COCO beside the checkout")
_needs_camvid = pytest.mark.skipif(not (_SHARED / "camvid_eval").is_dir(), reason="no CamVid beside the checkout")


@pytest.mark.parametrize("split", ["val", "val2017"])
def test_official_layout_of_coco_is_read_by_both_names_of_a_split(tmp_path: Path, split: str) -> None:
    write_coco(tmp_path)
    source = open_coco_instances(tmp_path, split)
    assert (source.name, source.vocabulary) == (f"coco-instances-{split}", ("stone", "goat"))
    assert [entry.image_id for entry in source.entries] == [1, 2]
    assert torch.equal(source.read(0, 0).masks, torch.stack([_GOAT, _STONE]))
    assert source.read(0, 0).texts == ("goat", "stone")
    assert source.read(1, 0).masks.shape == (0, HEIGHT, WIDTH)  # a crowd is left out
    assert len(open_coco_instances(tmp_path, split, keeps_empty=True)) == 3
    panoptic = CocoPanoptic(tmp_path, split)
    assert panoptic.categories.is_thing == (False, True)
    assert torch.equal(panoptic.read(0, 0).masks, torch.stack([_GOAT, _STONE]))
    assert all(path.is_file() for path in (*source.paths(), *panoptic.paths()))


def test_instances_and_panoptic_files_of_coco_are_not_mixed_up(tmp_path: Path) -> None:
    write_coco(tmp_path)
    folder = tmp_path / "annotations"
    (folder / "instances_val2017.json").write_bytes((folder / "panoptic_val2017.json").read_bytes())
    with pytest.raises(InputError, match="category_id"):
        open_coco_instances(tmp_path, "val")


def test_lvis_finds_the_pictures_of_coco_by_their_address(tmp_path: Path) -> None:
    write_lvis(tmp_path / "lvis")
    (tmp_path / "coco").mkdir()
    (tmp_path / "lvis" / "val2017").rename(tmp_path / "coco" / "val2017")
    source = open_lvis(tmp_path / "lvis", "val")
    assert (source.vocabulary, source.is_exhaustive) == (("goat", "yak"), False)
    assert torch.equal(source.read(0, 0).masks[0], _GOAT)
    assert list(source.paths()) == [tmp_path / "coco" / "val2017" / "000000000007.jpg"]


def test_refcoco_shows_a_picture_until_each_sentence_was_used(tmp_path: Path) -> None:
    write_refcoco(tmp_path)
    source = open_refcoco(tmp_path, "train", "refcoco")
    assert (source.name, len(source), len(source.pictures)) == ("refcoco-train", 2, 1)
    assert source.read(0, 0).texts == ("the goat on the left", "a stone")
    assert source.read(1, 0).texts == ("grey goat", "a stone")
    assert source.read(0, 0).category_ids == (0, 1)
    assert torch.equal(source.read(1, 0).masks, torch.stack([_GOAT, _STONE]))


def test_refcoco_says_which_splits_there_are_and_refuses_code(tmp_path: Path) -> None:
    write_refcoco(tmp_path)
    with pytest.raises(InputError, match="train, val, got 'testA'"):
        open_refcoco(tmp_path, "testA", "refcoco")
    (tmp_path / "refs(unc).p").write_bytes(pickle.dumps([{"split": Path("train")}]))
    with pytest.raises(InputError, match="official file"):
        open_refcoco(tmp_path, "train", "refcoco")
    (tmp_path / "refs(unc).p").write_bytes(pickle.dumps([{"split": "train"}]))
    with pytest.raises(InputError, match="official format"):
        open_refcoco(tmp_path, "train", "refcoco")


def test_sa1b_gives_regions_without_a_class_in_the_order_of_numbers(tmp_path: Path) -> None:
    write_sa1b(tmp_path)
    source = Sa1b(tmp_path, "train")
    assert [path.stem for path in source.annotation_paths] == ["sa_3", "sa_20"]
    picture = source.read(0, 0)
    assert torch.equal(picture.masks, torch.stack([_GOAT, _STONE]))
    assert picture.category_ids == (UNKNOWN_CATEGORY,) * 2
    assert not source.vocabulary and not source.is_exhaustive
    with pytest.raises(InputError, match="only one of SA-1B"):
        Sa1b(tmp_path, "val")
    write_image(tmp_path / "sa_000000" / "sa_3.jpg")
    Image.new("RGB", (5, 4)).save(tmp_path / "sa_000000" / "sa_3.jpg")
    with pytest.raises(InputError, match="pixels"):
        source.read(0, 0)


def test_ade20k_gives_classes_of_pixels_with_their_names(tmp_path: Path) -> None:
    write_ade20k(tmp_path)
    source = open_ade20k(tmp_path, "val")
    assert (len(source.vocabulary), source.folder, source.frame_name(0)) == (150, "validation", "ADE_val_00000001")
    assert source.read(0, 0).texts == ("wall", "building")
    assert torch.equal(source.read(0, 0).masks, torch.stack([_GOAT, _STONE]))
    assert set(np.unique(source.read_classes(0)).tolist()) == {VOID, 0, 1}


def test_camvid_counts_classes_from_zero_and_has_void_last(tmp_path: Path) -> None:
    write_camvid(tmp_path)
    source = open_camvid(tmp_path, "val")
    assert source.read(0, 0).texts == ("sky", "building", "pole")
    assert (source.read_classes(0)[0] == VOID).all()
    values = source.code.encode(source.read_classes(0))
    assert set(np.unique(values).tolist()) == {0, 1, 2, 11}


def test_pictures_of_camvid_that_nothing_divides_are_for_evaluation_alone(tmp_path: Path) -> None:
    write_camvid(tmp_path)
    (tmp_path / "val").rename(tmp_path / "images")
    (tmp_path / "valannot").rename(tmp_path / "labels")
    assert len(open_camvid(tmp_path, "val")) == 1
    with pytest.raises(InputError, match="trainannot"):
        open_camvid(tmp_path, "train")


def test_ade20k_gives_things_alone_and_with_stuff(tmp_path: Path) -> None:
    write_ade20k_segments(tmp_path)
    things = Ade20kSegments(tmp_path, "val", with_stuff=False)
    assert things.vocabulary == ("bed", "window")
    picture = things.read(0, 0)
    assert picture.texts == ("bed", "window", "bed")
    assert torch.equal(picture.masks[:2], torch.stack([_GOAT, _STONE]))
    everything = Ade20kSegments(tmp_path, "val", with_stuff=True)
    picture = everything.read(0, 0)
    assert picture.texts == ("wall", "bed", "window", "bed")
    assert sum(everything.categories.is_thing) == 2
    assert int(picture.masks.sum()) == (HEIGHT - 1) * WIDTH  # a wall where no thing is; the first row is void
    assert not (picture.masks.sum(dim=0) > 1).any()
    (tmp_path / "categoryMapping.txt").write_text("Ins_id Sem_id name\n7 9 window\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"categoryMapping\.txt in the red"):
        Ade20kSegments(tmp_path, "val", with_stuff=False).read(0, 0)
    (tmp_path / "categoryMapping.txt").write_text("Ins_id Sem_id name\n7 200 yak\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"classes 1\.\.150"):
        Ade20kSegments(tmp_path, "val", with_stuff=False)


def test_labels_of_another_size_than_the_instances_are_refused(tmp_path: Path) -> None:
    write_ade20k_segments(tmp_path)
    path = tmp_path / "annotations" / "validation" / "ADE_val_00000001.png"
    write_labels(path, np.ones((3, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="pixels"):
        Ade20kSegments(tmp_path, "val", with_stuff=True).read(0, 0)


@_needs_coco
def test_real_pictures_of_coco_are_read_as_their_file_says() -> None:
    content = json.loads((_SHARED / "coco_mini" / "instances_dev.json").read_text(encoding="utf-8"))
    source = open_coco_instances(_SHARED / "coco_mini", "dev", keeps_empty=True)
    assert (len(source.vocabulary), len(source)) == (80, len(content["images"]))
    for item_index in (0, len(source) // 2, len(source) - 1):
        picture, entry = source.read(item_index, 0), source.entries[item_index]
        kept = [each for each in entry.annotations if not each["iscrowd"]]
        assert picture.image.shape[-2:] == entry.size
        areas = picture.masks.flatten(1).sum(dim=1).tolist()
        expected = [each["area"] for each in kept]
        assert areas == pytest.approx(expected, rel=0.2, abs=40)  # polygons count half pixels


@_needs_coco
def test_real_panoptic_segments_have_the_areas_of_their_file() -> None:
    source = CocoPanoptic(_SHARED / "coco_mini", "dev")
    assert len(source.vocabulary) == 133 and sum(source.categories.is_thing) == 80
    for item_index in (0, len(source) - 1):
        segments = [each for each in source.entries[item_index].annotations[0]["segments_info"] if not each["iscrowd"]]
        areas = source.read(item_index, 0).masks.flatten(1).sum(dim=1).tolist()
        assert areas == [each["area"] for each in segments]


@_needs_camvid
def test_real_pictures_of_camvid_have_all_eleven_classes() -> None:
    source = open_camvid(_SHARED / "camvid_eval", "val")
    assert len(source) == 101
    seen = {int(value) for item_index in range(0, 101, 20) for value in np.unique(source.read_classes(item_index))}
    assert seen >= {0, 1, 3, 4, 5} and seen <= {VOID, *range(11)}
    assert source.read(0, 0).image.shape == (3, 360, 480)
