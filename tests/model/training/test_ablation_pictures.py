"""Ablations on photographs: stills in COCO's layout set in motion."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from univs.errors import InputError
from univs.training.ablations.measure import measure
from univs.training.ablations.pictures import StoredNames, pictures_world
from univs.training.ablations.run import train
from univs.training.recipes.ablations import Figure, Variant, base


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Write two pictures of a bright box for each split, and vectors of two names."""
    folder = tmp_path / "data" / "coco_mini"
    (folder / "images").mkdir(parents=True)
    categories = [{"id": 1, "name": "box"}, {"id": 2, "name": "hot dog"}]
    for first, split in ((1, "train"), (3, "dev")):
        images = [{"id": n, "height": 96, "width": 128, "file_name": f"{n}.jpg"} for n in (first, first + 1)]
        annotations = [
            {
                "id": image["id"],
                "image_id": image["id"],
                "category_id": 1,
                "iscrowd": 0,
                "area": 1600,
                "segmentation": [[40, 30, 80, 30, 80, 70, 40, 70]],
            }
            for image in images
        ]
        content = {"images": images, "categories": categories, "annotations": annotations}
        (folder / f"instances_{split}.json").write_text(json.dumps(content), encoding="utf-8")
        for image in images:
            pixels = np.full((96, 128, 3), 40, dtype=np.uint8)
            pixels[30:70, 40:80] = (230, 120, 30)
            Image.fromarray(pixels).save(folder / "images" / str(image["file_name"]))
    text = tmp_path / "data" / "text"
    text.mkdir()
    np.save(text / "coco_clip_a+cname.npy", np.random.default_rng(0).normal(size=(2, 16)).astype(np.float16))
    return tmp_path / "data"


def test_stills_are_set_in_motion_and_learned_from(root: Path, tmp_path: Path) -> None:
    world = pictures_world(root, tmp_path / "cache", num_dev=1, num_frames=3)
    first, last = world.dev.read(0, 0), world.dev.read(0, 2)
    assert first.masks.any()
    assert not torch.equal(first.masks, last.masks)
    assert torch.equal(first.image, pictures_world(root, tmp_path / "cache", 1, 3).dev.read(0, 0).image)
    assert world.dev.vocabulary == ("box", "hot dog")
    variant = Variant("", (base(),))
    trained = train(variant.fitted(1, world.words.text_dim), world, tmp_path / "runs", seed=0)
    assert np.isfinite(trained.losses).all()
    wanted = (Figure.TRACKS, Figure.SHOWN, Figure.NAMED)
    assert set(measure(trained.model, variant, world, wanted)) == set(wanted)


def test_vectors_that_do_not_fit_the_names_are_refused(root: Path, tmp_path: Path) -> None:
    np.save(root / "text" / "coco_clip_a+cname.npy", np.zeros((3, 16), dtype=np.float16))
    with pytest.raises(InputError, match="each of 2 names, got 3"):
        pictures_world(root, tmp_path)
    (root / "text" / "coco_clip_a+cname.npy").unlink()
    with pytest.raises(InputError, match="vectors of COCO's names"):
        pictures_world(root, tmp_path)


def test_names_are_read_with_and_without_articles() -> None:
    words = StoredNames({"hot_dog": torch.arange(4.0)})
    assert torch.equal(words.encode(["the hot dog"]).sentences, words.encode_names(["hot dog"]))
    assert words.text_dim == 4
    with pytest.raises(InputError, match="'cat'"):
        words.encode(["a cat"])
