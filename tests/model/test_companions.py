from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from univs import companions, weights
from univs.companions import ClassVectors
from univs.config import tiny
from univs.errors import WeightsError, WeightsMismatchError, WeightsNotFoundError
from univs.model import UniVS
from univs.weights import WeightsInfo

TEXT_DIM = tiny().text_dim


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    model, _ = weights.load("tiny")
    weights.save(model, tmp_path / "mine.safetensors", WeightsInfo("mine", "", True, "for tests", tiny()))
    return tmp_path / "mine.safetensors"


def classes(rows: int = 3, text_dim: int = TEXT_DIM) -> ClassVectors:
    vectors = torch.arange(rows * text_dim, dtype=torch.float32).view(rows, text_dim)
    return ClassVectors(vectors, {"first": (0, 1), "others": (1, rows - 1)})


def test_class_vectors_lie_beside_a_checkpoint(checkpoint: Path) -> None:
    assert weights.load_classes(checkpoint) is None
    companions.write_classes(classes(), companions.classes_path(checkpoint))
    read = weights.load_classes(checkpoint)
    assert read is not None
    assert torch.equal(read.section("others"), classes().vectors[1:])
    assert weights.verify(checkpoint).name == "mine"
    with pytest.raises(WeightsMismatchError, match="one of the class tables first, others, got 'coco'"):
        read.section("coco")


def test_class_vectors_of_another_text_space_are_refused(checkpoint: Path) -> None:
    companions.write_classes(classes(text_dim=8), companions.classes_path(checkpoint))
    with pytest.raises(WeightsMismatchError, match=f"expected class vectors of {TEXT_DIM} numbers"):
        weights.load_classes(checkpoint)


def test_damage_beside_a_checkpoint_is_found(checkpoint: Path) -> None:
    path = companions.classes_path(checkpoint)
    companions.write_classes(classes(), path)
    blob = bytearray(path.read_bytes())
    blob[-2] ^= 1
    path.write_bytes(blob)
    with pytest.raises(WeightsMismatchError, match="damaged"):
        weights.verify(checkpoint)


def test_a_text_tower_must_be_one(checkpoint: Path) -> None:
    save_file({"x": torch.ones(1)}, companions.text_path(checkpoint))
    with pytest.raises(WeightsError, match="univs-text-1"):
        weights.load(checkpoint)


def test_values_that_are_not_finite_are_found(tmp_path: Path) -> None:
    model, info = weights.load("tiny")
    with torch.no_grad():
        model.visual_queries.task[0] = torch.nan
    weights.save(model, tmp_path / "nan.safetensors", replace(info, name="nan"))
    with pytest.raises(WeightsMismatchError, match=r"expected finite values in .*visual_queries.task"):
        weights.verify(tmp_path / "nan.safetensors")


@pytest.mark.parametrize("suffix", [".pth", ".npy", ".safetensors"])
def test_published_class_vectors_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"classes{suffix}"
    table = torch.zeros(3938, TEXT_DIM)
    if suffix == ".npy":
        np.save(path, table.numpy())
    elif suffix == ".pth":
        torch.save(table, path)
    else:
        save_file({"table": table}, path)
    found = companions.read_published_classes(path, TEXT_DIM)
    assert found.section("ytvis21").shape == (40, TEXT_DIM)
    assert max(first + number for first, number in found.sections.values()) == 3938


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (torch.zeros(3), "expected one matrix of floats"),
        ({"a": torch.zeros(2, 2), "b": torch.zeros(2, 2)}, "found 2 matrices"),
        (torch.zeros(2, 2, dtype=torch.int64), "expected one matrix of floats"),
        (torch.zeros(2, 8), f"expected class vectors of {TEXT_DIM} numbers"),
        (torch.full((2, TEXT_DIM), torch.inf), "expected finite values"),
    ],
)
def test_other_files_are_no_class_vectors(tmp_path: Path, value: object, told: str) -> None:
    torch.save(value, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=told):
        companions.read_published_classes(tmp_path / "other.pth", TEXT_DIM)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"absent\.pth"):
        companions.read_published_classes(tmp_path / "absent.pth", TEXT_DIM)


@pytest.mark.slow
def test_a_text_tower_is_attached_when_it_lies_beside(checkpoint: Path) -> None:
    from univs.prompt_encoder.clip_text import ClipTextTower

    wide = replace(tiny(), text_dim=640)
    weights.save(UniVS(wide), checkpoint, WeightsInfo("mine", "", True, "for tests", wide))
    tower = ClipTextTower()
    companions.write_text_tower(tower, companions.text_path(checkpoint))
    model, _ = weights.load(checkpoint)
    assert torch.equal(model.encode_text(["a dog"]).words, tower.encode(["a dog"]).words)
    assert weights.verify(checkpoint).config == wide
    narrow, info = weights.load("tiny")
    weights.save(narrow, checkpoint, info)
    with pytest.raises(WeightsMismatchError, match=f"expected a text tower of {TEXT_DIM} numbers"):
        weights.load(checkpoint)
