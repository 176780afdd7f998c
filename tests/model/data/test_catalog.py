"""Every data set can be trained on: opened by name, cached, and cut into clips."""

from pathlib import Path

import numpy as np
import pytest
import torch

from univs.data.benchmarks import BENCHMARKS
from univs.data.cache import CachedSource
from univs.data.catalog import open_source, source_names
from univs.data.clips import ClipConfig, make_clip
from univs.data.sample import UNKNOWN_CATEGORY
from univs.errors import InputError

from .miniatures import MINIATURES

_CLIP = ClipConfig(num_frames=2, size=(32, 32), min_area=0.001)


def _open(name: str, data_root: Path) -> list[str]:
    """Write a miniature in a folder of its name, and name the splits that it has."""
    MINIATURES[name](data_root / name)
    splits = []
    for split in BENCHMARKS[name].splits:
        try:
            open_source(name, data_root, split)
        except InputError as error:
            assert str(error).startswith("expected")
        else:
            splits.append(split)
    return splits


@pytest.mark.parametrize("name", sorted(set(MINIATURES)))
def test_clips_of_every_data_set_can_be_made(tmp_path: Path, name: str) -> None:
    splits = _open(name, tmp_path / "data")
    assert splits
    source = open_source(name, tmp_path / "data", splits[0])
    cached = CachedSource(source, tmp_path / "cache", 32)
    assert len(cached) == len(source) > 0
    picture = source.read(0, 0)
    assert torch.equal(cached.read(0, 0).masks, picture.masks)
    assert cached.read(0, 0).texts == picture.texts
    for seed in range(3):
        sample = make_clip(np.random.default_rng(seed), cached, [cached], _CLIP)
        assert sample.images.shape == (2, 3, 32, 32)
        assert len(sample.prompts) == len(sample.texts) == len(sample.masks) == len(sample.category_ids)
        known = [row for row in sample.category_ids.tolist() if row != UNKNOWN_CATEGORY]
        assert all(0 <= row < len(sample.vocabulary) for row in known)


def test_recipes_may_name_every_benchmark() -> None:
    assert set(source_names()) == {*BENCHMARKS, "clothing", "ecssd"}
    assert set(MINIATURES) == set(BENCHMARKS) - {"davis2016"}


def test_data_set_lies_in_the_first_of_its_folders_that_is_there(tmp_path: Path) -> None:
    MINIATURES["coco_instances"](tmp_path / "coco")
    assert len(open_source("coco_instances", tmp_path, "val")) == 2
    MINIATURES["refcoco"](tmp_path / "refcoco+")
    assert open_source("refcoco_plus", tmp_path, "train").name == "refcoco-plus-train"
