"""What ships in `weights/` is what its manifest and its cards say."""

from pathlib import Path

import pytest

from univs import weights
from univs_service.cli.model_card import fill_card
from univs_service.cli.weights_manifest import Manifest, WeightsEntry, sha256_of_file

_FOLDER = Path(__file__).parents[2] / "weights"
_MANIFEST = Manifest.read(_FOLDER)
_LARGEST_BYTES = 15_000_000


@pytest.mark.parametrize("entry", _MANIFEST.weights, ids=lambda entry: entry.name)
def test_a_shipped_checkpoint_is_whole_small_trained_and_says_its_licence(entry: WeightsEntry) -> None:
    path = weights.find(entry.name)
    assert path == _FOLDER / entry.file
    assert path.stat().st_size == entry.num_bytes <= _LARGEST_BYTES
    assert sha256_of_file(path) == entry.file_sha256
    info = weights.verify(entry.name)
    assert info.is_trained
    assert (info.name, info.sha256, info.note) == (entry.name, entry.content_sha256, entry.licence)


@pytest.mark.parametrize("entry", _MANIFEST.weights, ids=lambda entry: entry.name)
def test_a_card_says_the_figures_of_the_manifest(entry: WeightsEntry) -> None:
    card = (_FOLDER / f"{entry.name}.md").read_text(encoding="utf-8")
    assert fill_card(card, entry, _MANIFEST) == card


@pytest.mark.parametrize("entry", _MANIFEST.weights, ids=lambda entry: entry.name)
def test_figures_belong_to_the_checkpoint_that_ships(entry: WeightsEntry) -> None:
    assert entry.figures
    assert {record.weights_sha256 for record in entry.figures} == {entry.content_sha256}


def test_every_checkpoint_in_the_folder_is_in_the_manifest() -> None:
    assert {path.stem for path in weights.files()} == {entry.name for entry in _MANIFEST.weights}
