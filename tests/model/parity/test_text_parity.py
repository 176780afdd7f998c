import json
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.model.parity.fixtures import DTYPES, FOLDER, assert_as_published, assert_equal, needs_fixtures, read
from tests.model.parity.network import filled, layout

from univs.errors import WeightsMismatchError, WeightsNotFoundError
from univs.prompt_encoder import clip_text
from univs.prompt_encoder.clip_text import ClipTextTower

pytestmark = needs_fixtures


def tower(dtype: torch.dtype = torch.float64) -> ClipTextTower:
    return _tower(dtype)


@cache
def _tower(dtype: torch.dtype) -> ClipTextTower:
    built = ClipTextTower()
    names = layout("r50", "clip_text_encoder_separate_file")
    built.tower.load_state_dict(filled(names, prefix="lang_encoder."))
    return built.to(dtype)


@cache
def meta() -> dict[str, list[str]]:
    described: dict[str, list[str]] = json.loads((FOLDER / "text_meta.json").read_text())
    return described


@DTYPES
def test_the_text_tower_equals_the_published_one(dtype: torch.dtype) -> None:
    fixture = read("clip_text")
    sentences, words = tower(dtype).features(meta()["strings"], cut=False)
    assert_as_published(sentences, fixture["eot"])
    assert_as_published(words, fixture["word"])


def test_text_after_the_end_can_be_cut() -> None:
    whole = tower().features(meta()["strings"], cut=False)[0]
    cut = tower().features(meta()["strings"], cut=True)[0]
    assert_equal(cut, whole)


@pytest.mark.slow
@DTYPES
def test_expressions_are_encoded_as_published(dtype: torch.dtype) -> None:
    fixture = read("expression_prompt")
    features = tower(dtype).encode(meta()["expressions"])
    assert_as_published(features.sentences, fixture["sentence_feats"])
    assert_as_published(features.words, fixture["word_feats"])


@pytest.mark.slow
def test_a_published_text_file_loads(tmp_path: Path) -> None:
    names = layout("r50", "clip_text_encoder_separate_file")
    torch.save({"model": filled(names, prefix="lang_encoder.")}, tmp_path / "text.pth")
    loaded = clip_text.load(tmp_path / "text.pth")
    assert_equal(loaded.tower.positional_embedding, tower().tower.positional_embedding)


def test_a_file_without_the_tower_says_what_is_missing(tmp_path: Path) -> None:
    save_file({"ln_final.weight": torch.ones(512)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsMismatchError, match="CLIP RN50x4"):
        clip_text.load(tmp_path / "other.safetensors")
    with pytest.raises(WeightsNotFoundError, match="no such file"):
        clip_text.load(tmp_path / "absent.pth")
