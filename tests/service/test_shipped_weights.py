"""What ships in `weights/` is what its manifest and its cards say."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest
import torch

from univs import weights
from univs.inference.options import paper
from univs.inference.segmenter import VideoSegmenter
from univs.rle import decode
from univs.types import BoxPrompt, Clip, Frame
from univs_service.cli.demo import intersection_over_union
from univs_service.cli.demo_clip import CUP, HEIGHT, WIDTH, compose, prompts_for
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


def test_the_default_weights_follow_a_boxed_cup_that_slides_over_a_photograph() -> None:
    truth = list(islice(compose(), 12))
    left, top, right, bottom = prompts_for(truth[0])[0].box or (0, 0, 0, 0)
    model, _ = weights.load("nano")
    segmenter = VideoSegmenter(model.optimize_for_inference(), paper(256), (HEIGHT, WIDTH))
    segmenter.add_prompt(BoxPrompt(CUP, 0, (left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT)))
    overlaps = []
    for index, frame in enumerate(truth):
        image = torch.from_numpy(frame.image.copy()).permute(2, 0, 1)
        found = segmenter.step(Clip((Frame(index, index, Fraction(1, 24), image),)))[0].objects[0]
        overlaps.append(intersection_over_union(decode(found.mask), frame.masks[CUP]))
    assert min(overlaps) > 0.8
