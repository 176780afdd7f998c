import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from univs.data.catalog import open_source, source_names
from univs.data.formats.coco import CocoPanoptic, open_coco_instances
from univs.data.formats.davis import Davis2016
from univs.data.formats.stills import Clothing, Ecssd
from univs.data.sample import UNKNOWN_CATEGORY
from univs.errors import InputError

from .sources import MovingSquare, write_davis


def _write_picture(path: Path, height: int = 20, width: int = 30) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (10, 20, 30)).save(path)


def test_davis_gives_frames_in_order_with_their_masks(tmp_path: Path) -> None:
    source = Davis2016(write_davis(tmp_path), "test")
    picture = source.read(0, 3)
    assert (len(source), source.num_frames(0)) == (1, 5)
    assert picture.image.shape == (3, 96, 128)
    assert torch.equal(picture.masks[0], MovingSquare().read(0, 3).masks[0])
    assert picture.texts == ("the orange square",)


def test_davis_says_which_file_is_missing(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    with pytest.raises(InputError, match=r"dev\.txt"):
        Davis2016(root, "dev")
    (root / "Annotations" / "480p" / "square" / "00002.png").unlink()
    with pytest.raises(InputError, match="lacks 1 of 5"):
        Davis2016(root, "test")


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("2016/val.txt", "square\n"),
        (
            "480p/val.txt",
            "".join(f"/JPEGImages/480p/square/{n:05d}.jpg /Annotations/480p/square/{n:05d}.png \n" for n in range(5)),
        ),
    ],
)
def test_davis_reads_the_official_lists_of_both_releases(tmp_path: Path, place: str, content: str) -> None:
    root = write_davis(tmp_path)
    path = root / "ImageSets" / place
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    source = Davis2016(root, "val")
    assert [clip.name for clip in source.clips] == ["square"]
    assert source.num_frames(0) == 5


def test_coco_instances_give_polygons_as_masks_without_crowds(tmp_path: Path) -> None:
    _write_picture(tmp_path / "images" / "7.jpg")
    square = [[5, 5, 15, 5, 15, 10, 5, 10]]
    common = {"image_id": 7, "category_id": 18}
    content = {
        "images": [{"id": 7, "file_name": "7.jpg", "height": 20, "width": 30}],
        "annotations": [
            {**common, "id": 1, "iscrowd": 0, "segmentation": square},
            {**common, "id": 2, "iscrowd": 1, "segmentation": {"size": [20, 30], "counts": [0, 600]}},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
    }
    (tmp_path / "instances_train.json").write_text(json.dumps(content), encoding="utf-8")
    source = open_coco_instances(tmp_path, "train")
    picture = source.read(0, 0)
    expected = torch.zeros(1, 20, 30, dtype=torch.bool)
    expected[0, 5:10, 5:15] = True
    assert source.vocabulary == ("person", "dog")
    assert picture.category_ids == (1,)
    assert torch.equal(picture.masks, expected)


def test_coco_panoptic_gives_one_mask_a_segment(tmp_path: Path) -> None:
    _write_picture(tmp_path / "images" / "7.jpg")
    ids = np.zeros((20, 30, 3), dtype=np.uint8)
    ids[:, :10] = (1, 2, 0)
    ids[:, 10:] = (0, 0, 1)
    (tmp_path / "panoptic_train").mkdir()
    Image.fromarray(ids).save(tmp_path / "panoptic_train" / "7.png")
    segments = [
        {"id": 1 + 2 * 256, "category_id": 1, "iscrowd": 0},
        {"id": 256 * 256, "category_id": 190, "iscrowd": 0},
    ]
    content = {
        "images": [{"id": 7, "file_name": "7.jpg", "height": 20, "width": 30}],
        "annotations": [{"image_id": 7, "file_name": "7.png", "segments_info": segments}],
        "categories": [{"id": 1, "name": "person"}, {"id": 190, "name": "floor"}],
    }
    (tmp_path / "panoptic_train.json").write_text(json.dumps(content), encoding="utf-8")
    picture = CocoPanoptic(tmp_path, "train").read(0, 0)
    assert picture.texts == ("person", "floor")
    assert picture.masks.flatten(1).sum(dim=1).tolist() == [200, 400]


def test_ecssd_pairs_pictures_with_masks(tmp_path: Path) -> None:
    _write_picture(tmp_path / "images" / "0001.jpg")
    with pytest.raises(InputError, match="missing"):
        Ecssd(tmp_path)
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[4:8] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).convert("1").save(tmp_path / "masks" / "0001.png")
    picture = Ecssd(tmp_path).read(0, 0)
    assert picture.category_ids == (UNKNOWN_CATEGORY,)
    assert int(picture.masks.sum()) == 4 * 30


def test_clothing_gives_garments_and_the_whole_person(tmp_path: Path) -> None:
    _write_picture(tmp_path / "images" / "0001.jpg")
    labels = np.zeros((20, 30), dtype=np.uint8)
    labels[:10, :10], labels[10:, :10], labels[0, 29] = 1, 2, 1
    (tmp_path / "masks").mkdir()
    Image.fromarray(labels).save(tmp_path / "masks" / "0001.png")
    names = {"0": "null", "1": "hat", "2": "coat"}
    (tmp_path / "labels.json").write_text(json.dumps(names), encoding="utf-8")
    picture = Clothing(tmp_path).read(0, 0)
    assert picture.texts == ("hat", "coat", "person")
    assert picture.masks.flatten(1).sum(dim=1).tolist() == [101, 100, 201]


def test_catalog_refuses_an_unknown_name(tmp_path: Path) -> None:
    assert "davis2016" in source_names()
    with pytest.raises(InputError, match="davis2016"):
        open_source("davis2026", tmp_path, "train")
