from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from univs import weights
from univs.data.mixture import ClipMixture, MixtureEntry
from univs.data.sample import Batch, Picture
from univs.errors import InputError
from univs.losses.report import LossWeights
from univs.model import UniVS
from univs.prompt_encoder.text import TextFeatures
from univs.training.config import TrainConfig
from univs.training.criterion import prompted_loss
from univs.training.monitor import StepReport
from univs.training.recipes import tiny_smoke
from univs.training.rollout import Rollout, roll_out
from univs.training.texts import TextDrawer, TextPrompting, TextPrompts
from univs.training.trainer import RunLimits, Trainer
from univs.types import PromptKind

_LIMITS = RunLimits(num_workers=0)
_TEXT_DIM = 32


class Words:
    """A text encoder in which each text has a place of its own; counts what it is asked."""

    text_dim = _TEXT_DIM

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: list[str]) -> TextFeatures:
        self.asked += texts
        rows = torch.stack([_draw(text) for text in texts])
        padding = torch.zeros(len(texts), 3, dtype=torch.bool)
        padding[:, 2] = True
        return TextFeatures(rows, rows[:, None].repeat(1, 3, 1), padding)

    def encode_names(self, names: list[str]) -> Tensor:
        return self.encode(names).sentences


def _draw(text: str) -> Tensor:
    return torch.randn(_TEXT_DIM, generator=torch.Generator().manual_seed(sum(text.encode())))


class Shapes:
    """A source of videos of a bright disk and a dark square, both moving."""

    name = "shapes"
    vocabulary: tuple[str, ...] = ("disk", "square", "star")
    is_exhaustive = True

    def __len__(self) -> int:
        return 1

    def num_frames(self, _item_index: int, /) -> int:
        return 10

    def read(self, _item_index: int, position: int, /) -> Picture:
        rows, columns = torch.meshgrid(torch.arange(80), torch.arange(120), indexing="ij")
        disk = (rows - 40) ** 2 + (columns - 30 - 2 * position) ** 2 <= 20**2
        square = ((rows - 40).abs() <= 16) & ((columns - 90 + position).abs() <= 16)
        image = torch.full((3, 80, 120), 90, dtype=torch.uint8)
        image[:, disk] = torch.tensor([230, 180, 60], dtype=torch.uint8)[:, None]
        image[:, square] = torch.tensor([20, 30, 200], dtype=torch.uint8)[:, None]
        return Picture(image, torch.stack([disk, square]), (0, 1), ("disk", "square"))


def _config(**changes: object) -> TrainConfig:
    recipe = tiny_smoke()
    pasting = replace(recipe.clip.pasting, probability=0.0)
    settled = replace(
        recipe,
        model=replace(recipe.model, text_dim=_TEXT_DIM),
        learnable_share=0.0,
        clip=replace(recipe.clip, min_crop=1.0, pasting=pasting),
        texts=TextPrompting(probability=1.0),
    )
    return replace(settled, **changes)  # type: ignore[arg-type]  # fields of the recipe


def _mixture(config: TrainConfig) -> ClipMixture:
    return ClipMixture(((Shapes(), MixtureEntry("shapes", 1.0)),), config.clip, config.batch_size, config.seed)


def _trainer(config: TrainConfig, folder: Path) -> Trainer:
    return Trainer(config, _mixture(config), folder, None, Words())


def _drawn(batch: Batch, prompting: TextPrompting, seed: int = 0) -> TextPrompts:
    drawn = TextDrawer(Words(), prompting).draw(batch, np.random.default_rng(seed))
    assert drawn is not None
    return drawn


def _rolled(model: UniVS, batch: Batch, config: TrainConfig, texts: TextPrompts | None) -> Rollout:
    torch.manual_seed(0)
    with torch.no_grad():
        return roll_out(model, batch, config.rollout, np.random.default_rng(0), texts)


@pytest.fixture(scope="module")
def batch() -> Batch:
    found = next(
        batch for batch in (_mixture(_config()).batch(step) for step in range(50)) if not bool(batch.is_padding.any())
    )
    assert all(sorted(texts) == ["disk", "square"] for texts in found.texts)
    return found


def test_every_text_has_its_slot_and_absent_things_follow(batch: Batch) -> None:
    drawn = _drawn(batch, TextPrompting(1.0, num_absent=1, phrases=("the {}",)))
    assert bool(drawn.is_used.all())
    for video, texts in enumerate(batch.texts):
        for slot, text in enumerate((*texts, "star")):
            torch.testing.assert_close(drawn.sentences[video, slot], _draw(f"the {text}"))
    assert batch.absent_names == (("star",),) * len(batch.texts)


def test_as_many_objects_are_told_as_the_probability_says(batch: Batch) -> None:
    shares = [_drawn(batch, TextPrompting(0.25), seed).is_told.double().mean() for seed in range(200)]
    assert float(torch.stack(shares).mean()) == pytest.approx(0.25, abs=0.05)


def test_nothing_to_say_draws_nothing(batch: Batch) -> None:
    drawer = TextDrawer(Words(), TextPrompting(0.0, num_absent=0))
    assert drawer.draw(batch, np.random.default_rng(0)) is None


def test_texts_that_come_again_are_encoded_once(batch: Batch) -> None:
    encoder = Words()
    drawer = TextDrawer(encoder, TextPrompting(1.0, phrases=("{}",)))
    for seed in range(3):
        drawer.draw(batch, np.random.default_rng(seed))
    assert sorted(encoder.asked) == ["disk", "square", "star"]


def test_a_told_object_follows_its_text_and_not_its_visual_prompt(batch: Batch) -> None:
    config = _config()
    torch.manual_seed(0)
    model = UniVS(config.model).eval()
    texts = _drawn(batch, TextPrompting(1.0, phrases=("{}",)))
    others = replace(batch, prompts=tuple(row[::-1] for row in batch.prompts))  # each gets the other's prompt
    one, other = (_rolled(model, given, config, texts) for given in (batch, others))
    torch.testing.assert_close(one.first[0].mask_logits, other.first[0].mask_logits)
    shown = _rolled(model, batch, config, None)
    assert not torch.allclose(one.first[0].mask_logits, shown.first[0].mask_logits)


def test_objects_that_are_not_told_are_answered_as_without_texts(batch: Batch) -> None:
    config = _config()
    torch.manual_seed(0)
    model = UniVS(config.model).eval()
    texts = _drawn(batch, TextPrompting(1.0))
    is_used = texts.is_used.clone()
    is_used[:, 1:] = False
    mixed = _rolled(model, batch, config, replace(texts, is_used=is_used))
    shown = _rolled(model, batch, config, None)
    torch.testing.assert_close(mixed.first[0].mask_logits[:, 1], shown.first[0].mask_logits[:, 1])
    assert mixed.absent is None


def test_absent_things_cost_when_they_are_believed_present(batch: Batch) -> None:
    config = _config()
    torch.manual_seed(0)
    model = UniVS(config.model).eval()
    rollout = _rolled(model, batch, config, _drawn(batch, TextPrompting(1.0)))
    assert rollout.absent is not None
    losses = []
    for belief in (-8.0, 8.0):
        absent = replace(rollout.absent, presence_logits=torch.full_like(rollout.absent.presence_logits, belief))
        torch.manual_seed(0)
        losses.append(float(prompted_loss(replace(rollout, absent=absent), batch, config.points).presence))
    assert losses[1] - losses[0] == pytest.approx(8.0, abs=0.01)


def test_training_by_text_lowers_the_loss_and_says_so(tmp_path: Path, batch: Batch) -> None:
    config = _config(num_steps=12)
    trainer = _trainer(config, tmp_path)
    texts = _drawn(batch, TextPrompting(1.0))

    def loss() -> float:
        rollout = _rolled(trainer.model, batch, config, texts)
        torch.manual_seed(0)
        return float(prompted_loss(rollout, batch, config.points).total(LossWeights()))

    before = loss()
    reports: list[StepReport] = []
    path = trainer.run(_LIMITS, reports.append)
    assert loss() < 0.95 * before
    assert weights.describe(path).trained_for == (PromptKind.VISUAL, PromptKind.EXPRESSION)
    assert all(np.isfinite(report.total) for report in reports)


def test_the_text_path_learns(tmp_path: Path) -> None:
    trainer = _trainer(_config(num_steps=2), tmp_path)
    before = trainer.model.text_queries.project.weight.detach().clone()
    trainer.run(_LIMITS)
    assert not torch.equal(before, trainer.model.text_queries.project.weight)


def test_a_resumed_run_by_text_is_equal_to_the_last_bit(tmp_path: Path) -> None:
    config = _config(num_steps=4, texts=TextPrompting(0.5))
    whole = _trainer(config, tmp_path / "whole")
    whole.run(_LIMITS)
    _trainer(config, tmp_path / "parts").run(replace(_LIMITS, max_steps=2))
    rest = _trainer(config, tmp_path / "parts")
    rest.resume()
    rest.run(_LIMITS)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, rest.model.state_dict()[name]), name


def test_a_missing_or_foreign_text_encoder_is_refused(tmp_path: Path) -> None:
    config = _config()
    with pytest.raises(InputError, match="got none"):
        Trainer(config, _mixture(config), tmp_path)
    wide = replace(config, model=replace(config.model, text_dim=64))
    with pytest.raises(InputError, match=r"expected a text encoder of 64 numbers .* got one of 32"):
        _trainer(wide, tmp_path)


def test_recipes_without_texts_are_written_as_before() -> None:
    assert '"texts"' not in tiny_smoke().to_json()
    assert '"texts"' in _config().to_json()
    assert not _config().is_continued_by(_config(texts=None))


def test_impossible_settings_are_refused() -> None:
    for wrong in ({"probability": 1.5}, {"num_absent": -1}, {"phrases": ()}):
        with pytest.raises(ValueError, match="expected a probability"):
            TextPrompting(**wrong)
