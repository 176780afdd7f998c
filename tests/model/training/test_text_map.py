import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.model.prompt_encoder.test_sentence_text import COCO, SYNONYMS
from torch.nn import functional

from univs import weights
from univs.data.text_table import read_tables
from univs.errors import InputError
from univs.prompt_encoder import minilm, text_map
from univs.prompt_encoder.sentence_text import SentenceTextEncoder
from univs.training.text_map import TextMapRecipe, fit_text_map, is_held_out

pytestmark = pytest.mark.skipif(not minilm.is_installed(), reason="needs pip install 'univs[text]'")

_TABLES = Path(__file__).parents[4] / "shared" / "data" / "text"
_NAMES = (
    "dog", "cat", "horse", "cow", "sheep", "lion", "tiger", "car", "truck", "bus", "train", "boat", "apple", "banana",
    "pear", "cup", "fork", "knife", "chair", "table",
)  # fmt: skip


def test_all_spellings_of_a_name_are_held_out_or_none() -> None:
    for name in _NAMES:
        assert is_held_out(name) == is_held_out(name.upper()) == is_held_out(f"{name}_(of_another_kind)")
    assert {is_held_out(name) for name in _NAMES} == {True, False}


def test_a_linear_space_is_found_again_from_every_phrase() -> None:
    encoder = minilm.load()
    names = [name for name in _NAMES if not is_held_out(name)]
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(minilm.WIDTH, 24, generator=generator)
    vectors = {
        name: minilm.sentence_of(words)[0] @ truth + 3
        for name, words in zip(_NAMES, encoder.encode(_NAMES), strict=True)
    }
    fitted, report = fit_text_map(vectors, encoder, TextMapRecipe(1e-6, ("{}", "the {}"), ("a red {}",)))
    found = SentenceTextEncoder(fitted).encode([f"the {name}" for name in names]).sentences
    wanted = torch.stack([vectors[name] for name in names])
    torch.testing.assert_close(
        (found - wanted).norm(), torch.tensor(0.0), atol=0.35 * float((wanted - wanted.mean(0)).norm()), rtol=0
    )
    assert [line.phrase for line in report.figures] == ["{}", "the {}", "a red {}"]
    assert report.num_names == len(names)
    assert report.num_held_out == len(_NAMES) - len(names)
    assert json.loads(fitted.recipe)["recipe"]["ridge"] == 1e-6


def test_too_few_names_are_refused() -> None:
    with pytest.raises(InputError, match="at least 2 names to fit and 2 to measure"):
        fit_text_map({"dog": torch.zeros(4)}, minilm.load())


@pytest.mark.skipif(not _TABLES.is_dir(), reason="the tables of names lie beside the project")
def test_the_shipped_map_knows_names_that_it_was_not_fitted_on() -> None:
    tables = read_tables(_TABLES)
    path = weights.text_map_path()
    assert path is not None
    shipped = text_map.read(path)
    held_out = list(
        {name.lower().replace("_", " ").split(" (")[0]: name for name in tables if is_held_out(name)}.values()
    )
    middle = torch.stack([vector for name, vector in tables.items() if not is_held_out(name)]).mean(dim=0)
    truth = functional.normalize(torch.stack([tables[name] for name in held_out]) - middle, dim=1)
    found = functional.normalize(SentenceTextEncoder(shipped).encode_names(held_out) - middle, dim=1)
    similarity = found @ truth.T
    rank = (similarity > similarity.diagonal()[:, None]).sum(dim=1)
    assert float((rank == 0).double().mean()) >= 0.70
    assert float((rank < 5).double().mean()) >= 0.88
    written = next(line for line in json.loads(shipped.recipe)["report"]["figures"] if line["phrase"] == "{}")
    assert float((rank == 0).double().mean()) == pytest.approx(written["top_1"], abs=0.01)


@pytest.mark.skipif(not _TABLES.is_dir(), reason="the tables of names lie beside the project")
def test_listed_names_are_no_better_served_from_the_table() -> None:
    path = weights.text_map_path()
    assert path is not None
    encoder = SentenceTextEncoder(text_map.read(path))
    asked = functional.normalize(encoder.encode_names(list(SYNONYMS)), dim=1)
    stored = torch.from_numpy(np.load(_TABLES / "coco_clip_a+cname.npy").astype(np.float32))
    meant = torch.tensor([COCO.index(name.replace(" ", "_")) for name in SYNONYMS.values()])

    def share_found(rows: torch.Tensor) -> float:
        return float(((asked @ functional.normalize(rows, dim=1).T).argmax(dim=1) == meant).double().mean())

    mapped = share_found(encoder.encode_names(list(COCO)))
    assert mapped >= share_found(stored)
    assert mapped >= 0.85
