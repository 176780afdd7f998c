import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from univs import weights
from univs.config import nano, r50, swin_t, tiny
from univs.config_json import config_from_json, config_to_json
from univs.errors import WeightsError, WeightsMismatchError, WeightsNotFoundError
from univs.types import Compat, PromptKind
from univs.weights import WeightsInfo

INFO = WeightsInfo("mine", "", True, "for tests only", tiny())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model, _ = weights.load("tiny")
    weights.save(model, tmp_path / "mine.safetensors", INFO)
    return tmp_path / "mine.safetensors"


def rewrite(path: Path, **changes: str) -> None:
    """Write a checkpoint again with other metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file(load_file(path), path, metadata | changes)


def test_random_weights_are_seeded_and_say_so() -> None:
    (one, info), (other, _) = weights.load("tiny"), weights.load("tiny")
    assert not info.is_trained
    assert "untrained" in info.note
    for left, right in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(left, right)


def test_loading_random_weights_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    weights.load("tiny")
    assert torch.equal(torch.rand(1), expected)


def test_a_checkpoint_gives_back_the_network(saved: Path) -> None:
    model, _ = weights.load("tiny")
    loaded, info = weights.load(saved)
    assert (info.name, info.is_trained, info.note, info.config) == ("mine", True, "for tests only", tiny())
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        twin = loaded.state_dict()[name]
        assert twin.dtype == tensor.dtype
        expected = tensor.half().float() if tensor.dim() >= 2 else tensor
        assert torch.equal(twin, expected), name


def test_saving_what_was_loaded_gives_the_same_hash(saved: Path, tmp_path: Path) -> None:
    model, info = weights.load(saved)
    assert weights.save(model, tmp_path / "again.safetensors", info) == info


@pytest.mark.parametrize("compat", Compat)
def test_a_checkpoint_says_which_semantics_it_was_made_for(saved: Path, compat: Compat) -> None:
    model, info = weights.load(saved)
    weights.save(model, saved, replace(info, compat=compat))
    assert weights.load(saved)[1].compat is compat


@pytest.mark.parametrize(("name", "compat"), [("tiny", Compat.PAPER), ("r50", Compat.RELEASED)])
def test_files_that_do_not_name_their_semantics_have_that_of_their_network(
    saved: Path, name: str, compat: Compat
) -> None:
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    del metadata["compat"]
    config = config_to_json(replace(tiny(), name=name))
    save_file(load_file(saved), saved, metadata | {"config": config})
    assert weights.describe(saved).compat is compat


def test_unknown_semantics_are_refused(saved: Path) -> None:
    rewrite(saved, compat="other")
    with pytest.raises(WeightsMismatchError, match="does not fit this version"):
        weights.load(saved)


def test_a_checkpoint_describes_itself_without_being_loaded(saved: Path) -> None:
    assert weights.describe(saved) == weights.load(saved)[1]


def test_a_checkpoint_remembers_what_it_was_trained_for(saved: Path, tmp_path: Path) -> None:
    model, info = weights.load(saved)
    assert info.trained_for == (PromptKind.VISUAL,)
    weights.save(model, tmp_path / "other.safetensors", replace(info, trained_for=tuple(PromptKind)))
    assert weights.describe(tmp_path / "other.safetensors").trained_for == tuple(PromptKind)


def test_files_that_do_not_say_were_trained_for_visual_prompts(saved: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    del metadata["trained_for"]
    save_file(load_file(saved), saved, metadata)
    assert weights.describe(saved).trained_for == (PromptKind.VISUAL,)


def test_training_for_an_unknown_kind_is_refused(saved: Path) -> None:
    rewrite(saved, trained_for='["smell"]')
    with pytest.raises(WeightsMismatchError, match="does not fit this version"):
        weights.describe(saved)


def test_a_changed_tensor_is_noticed(saved: Path) -> None:
    blob = bytearray(saved.read_bytes())
    blob[-3] ^= 1
    saved.write_bytes(blob)
    with pytest.raises(WeightsMismatchError, match="damaged: expected sha256"):
        weights.load(saved)


def test_a_changed_config_is_noticed(saved: Path) -> None:
    rewrite(saved, config=config_to_json(replace(tiny(), name="other")))
    with pytest.raises(WeightsMismatchError, match="damaged"):
        weights.load(saved)


def test_a_config_of_another_version_is_refused(saved: Path) -> None:
    described = json.loads(config_to_json(tiny()))
    rewrite(saved, config=json.dumps(described | {"new_field": 1}))
    with pytest.raises(WeightsMismatchError, match="does not fit this version"):
        weights.load(saved)


@pytest.mark.parametrize("content", [b"", b"text", b"\x10\x00\x00\x00\x00\x00\x00\x00" + b"{" * 16])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as one"):
        weights.load(path)


def test_safetensors_of_something_else_are_refused(tmp_path: Path) -> None:
    save_file({"x": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="expected a file of univs"):
        weights.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("name", ["", "unknown", "../tiny", "absent.safetensors"])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"tiny|no such file"):
        weights.load(name)


@pytest.mark.parametrize("config", [tiny(), nano(), r50(), swin_t()])
def test_a_config_survives_as_text(config: object) -> None:
    assert config_from_json(config_to_json(config)) == config  # type: ignore[arg-type]  # one of ours, all of one type


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"backbone": {"kind": "X"}}', '{"backbone": {"kind": "SwinConfig"}}']
)
def test_other_text_is_no_config(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|Expecting"):
        config_from_json(text)


def test_a_published_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": {}}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="entry 'model'"):
        weights.load_published(tmp_path / "other.pth", "r50")
    (tmp_path / "text.pth").write_text("text")
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.load_published(tmp_path / "text.pth", "r50")
    with pytest.raises(WeightsNotFoundError, match="no such file"):
        weights.load_published(tmp_path / "absent.pth", "r50")
    with pytest.raises(WeightsNotFoundError, match="variants"):
        weights.load_published(tmp_path / "other.pth", "r51")
