"""The three stages: what a step asks, what it loses, and that each of them learns."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from univs import weights
from univs.config import ResNetConfig, SwinConfig
from univs.data.jitter import ShortSide, SquareJitter
from univs.data.sample import Batch
from univs.losses.report import LossParts
from univs.losses.settings import released
from univs.model import UniVS
from univs.training.config import TrainConfig
from univs.training.monitor import StepReport
from univs.training.recipes import find_recipe
from univs.training.recipes.stages import Setting, stage1, stage2, stage3
from univs.training.recomputing import recompute_in_backward
from univs.training.stages.config import StageConfig
from univs.training.stages.step import StageDraws, StageOutcome, stage_step
from univs.training.stages.targets import name_targets
from univs.training.texts import TextDrawer, TextPrompting
from univs.training.trainer import RunLimits, Trainer
from univs.types import PromptKind

from .shrunken import TEXT_DIM, Shapes, Words, mixture_of, shrunken, small_network, table_of

_LIMITS = RunLimits(num_workers=0)
_STAGES = {"1": stage1, "2": stage2, "3": stage3}


def _recipe(stage: str, setting: Setting = Setting.PAPER) -> TrainConfig:
    return shrunken(_STAGES[stage](small_network(), setting))


def _stage(config: TrainConfig) -> StageConfig:
    assert config.stage is not None
    return config.stage


def _asked(config: TrainConfig, model: UniVS, batch: Batch, **changes: object) -> StageOutcome:
    """Run one step, always with the same random numbers."""
    stage = replace(_stage(config), **changes)  # type: ignore[arg-type]
    drawer = TextDrawer(Words(), TextPrompting(probability=1.0, num_absent=0, phrases=("{}",)))
    draws = StageDraws.of(0, 0, 1, 0, len(batch.images))
    return stage_step(model, batch, stage, draws, table=table_of("disk", "square", "star"), texts=drawer)


def _network(config: TrainConfig) -> UniVS:
    torch.manual_seed(0)
    return UniVS(config.model).train()


def _trainer(config: TrainConfig, folder: Path) -> Trainer:
    return Trainer(config, mixture_of(config), folder, table_of("disk", "square", "star"), Words())


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a busy machine is slower than the others expect
@pytest.mark.parametrize(("stage", "setting"), [("1", "paper"), ("2", "paper"), ("3", "paper"), ("3", "released")])
def test_ten_steps_of_each_stage_lower_the_loss(tmp_path: Path, stage: str, setting: str) -> None:
    config = _recipe(stage, Setting(setting))
    trainer = _trainer(config, tmp_path)
    batch = mixture_of(config).batch(0)
    start = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}

    def loss() -> float:
        with torch.no_grad():
            return float(_asked(config, trainer.model, batch).parts.total(config.loss_weights))

    before = loss()
    reports: list[StepReport] = []
    trainer.run(_LIMITS, reports.append)
    assert len(reports) == 10
    assert loss() < 0.95 * before
    for name, tensor in trainer.model.state_dict().items():
        if name.startswith(config.frozen):
            assert torch.equal(tensor, start[name]), name
    assert any(report.category > 0 for report in reports)
    assert any(report.contrastive > 0 for report in reports)
    assert (tmp_path / "pictures").is_dir()
    _, info = weights.load(tmp_path / f"{config.name}.safetensors")
    assert info.compat is _stage(config).compat
    assert set(info.trained_for) == set(PromptKind)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a busy machine is slower than the others expect
def test_resumed_stage_is_equal_to_the_last_bit(tmp_path: Path) -> None:
    config = replace(_recipe("3", Setting.RELEASED), num_steps=4)
    whole = _trainer(config, tmp_path / "whole")
    whole.run(_LIMITS)
    _trainer(config, tmp_path / "parts").run(replace(_LIMITS, max_steps=2))
    rest = _trainer(config, tmp_path / "parts")
    rest.resume()
    rest.run(_LIMITS)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, rest.model.state_dict()[name]), name
        assert torch.equal(whole.average.state[name], rest.average.state[name]), name


@pytest.mark.parametrize(
    "backbone",
    [
        None,
        ResNetConfig(depths=(1, 1, 1, 1), width=8),
        SwinConfig(8, (1, 2, 1, 1), (1, 1, 2, 2), window_size=4, drop_path=0.3),
    ],
    ids=["lite", "resnet", "swin"],
)
def test_gradients_are_the_same_when_blocks_are_computed_once_more(
    backbone: ResNetConfig | SwinConfig | None,
) -> None:
    config = shrunken(stage2(small_network(), Setting.PAPER), small_network(backbone))
    batch = mixture_of(config).batch(0)
    found = []
    for is_recomputed in (False, True):
        model = _network(config)
        if is_recomputed:
            assert recompute_in_backward(model) > 10
        torch.manual_seed(3)
        torch.autograd.backward(_asked(config, model, batch).parts.total(config.loss_weights))
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        other = found[1][name]
        assert (gradient is None) == (other is None), name
        if gradient is not None and other is not None:
            assert torch.equal(gradient, other), name
    assert sum(gradient is not None for gradient in found[0].values()) > 100


def test_prompts_are_pictures_names_or_expressions_by_what_the_data_give() -> None:
    config = _recipe("1")
    model = _network(config)
    named = mixture_of(config).batch(0)
    told = mixture_of(config, Shapes((), ("the yellow disk", "the blue one"))).batch(0)
    silent = mixture_of(config, Shapes((), ("", ""))).batch(0)
    with torch.no_grad():
        assert _asked(config, model, named, category_probability=0.0).kind is PromptKind.VISUAL
        assert _asked(config, model, named, category_probability=1.0).kind is PromptKind.CATEGORY
        assert _asked(config, model, told, category_probability=1.0).kind is PromptKind.EXPRESSION
        assert _asked(config, model, silent, category_probability=1.0).kind is PromptKind.VISUAL


def test_data_without_names_have_no_class_loss() -> None:
    config = _recipe("1")
    model = _network(config)
    silent = mixture_of(config, Shapes((), ("", ""))).batch(0)
    with torch.no_grad():
        assert float(_asked(config, model, silent).parts.category) == 0.0
        named = _asked(config, model, mixture_of(config).batch(0), category_probability=0.0)
        assert float(named.parts.category) > 0.0


def test_names_merge_objects_and_ask_for_absent_ones() -> None:
    config = _recipe("1")
    batch = mixture_of(config).batch(0)
    table = table_of("disk", "square", "star").class_table(batch)
    shown = {row for row in table.category_ids.flatten().tolist() if row >= 0}
    found = name_targets(batch, table, 3, (np.random.default_rng(0),))
    assert sorted(found.class_rows[0].tolist()) == [0, 1, 2]
    assert {
        row for row, drawn in zip(found.class_rows[0].tolist(), found.is_drawn[0].tolist(), strict=True) if drawn
    } == shown
    double = replace(table, category_ids=torch.zeros_like(table.category_ids))
    merged = name_targets(batch, double, 1, (np.random.default_rng(0),))
    assert merged.class_rows.tolist() == [[0]]
    assert torch.equal(merged.masks[0, 0], batch.masks[0].any(dim=0))


def test_windows_share_frames_and_reach_the_end() -> None:
    clips = replace(_stage(_recipe("3")).clips, num_frames=7)
    assert [list(w) for w in StageConfig(clips=clips, window=5).windows] == [[0, 1, 2, 3, 4], [4, 5, 6]]
    assert [list(w) for w in StageConfig(clips=clips, window=3, overlap=2).windows][-1] == [4, 5, 6]
    assert [list(w) for w in StageConfig(clips=clips).windows] == [list(range(7))]
    with pytest.raises(ValueError, match="overlap"):
        StageConfig(window=2, overlap=2)


def test_later_windows_remember_the_first_one() -> None:
    config = _recipe("3")
    model = _network(config)
    batch = mixture_of(config).batch(3)
    with torch.no_grad():
        kind = _asked(config, model, batch, category_probability=0.0)
        assert kind.mask_logits.shape[2] == 5 + 3
        assert kind.masks.shape[2] == 5 + 3
        # What the first window shows of an object changes what the second one answers.
        hidden = replace(batch, images=torch.cat([batch.images[:, :4] // 2, batch.images[:, 4:]], dim=1))
        other = _asked(config, model, hidden, category_probability=0.0)
    assert not torch.allclose(kind.mask_logits[:, :, 5:], other.mask_logits[:, :, 5:])


def test_comparing_clips_adds_to_the_reid_loss_alone() -> None:
    config = _recipe("3", Setting.RELEASED)
    model = _network(config)
    batch = mixture_of(config).batch(0)
    losses = _stage(config).losses
    with torch.no_grad():
        with_clips = _asked(config, model, batch, category_probability=0.0).parts
        without = _asked(
            config, model, batch, category_probability=0.0, losses=replace(losses, between_clips=None)
        ).parts
    assert float(with_clips.contrastive) > float(without.contrastive)
    assert torch.equal(with_clips.dice, without.dice)
    assert torch.equal(with_clips.category, without.category)


def test_batch_cut_among_processes_loses_what_the_whole_batch_loses() -> None:
    config = replace(_recipe("1"), batch_size=2)
    model = _network(config).double()
    batch = mixture_of(config).batch(1)
    halves = [mixture_of(replace(config, batch_size=1)).of_process(rank).batch(1) for rank in range(2)]
    stage = replace(_stage(config), category_probability=0.0)
    counts = [float((~half.is_padding).sum()) for half in halves]

    def parts(batch: Batch, place: int, mean: float | None) -> LossParts:
        draws = StageDraws.of(0, 1, 1, place, len(batch.images))
        of = (lambda count: count) if mean is None else (lambda count: torch.full_like(count, mean))
        with torch.no_grad():
            return stage_step(model, batch, stage, draws, table=None, mean_of=of).parts

    whole = parts(batch, 0, None)
    mean = sum(counts) / 2
    shares = [parts(half, rank, mean) for rank, half in enumerate(halves)]
    for name in ("cross_entropy", "dice", "contrastive", "auxiliary"):
        averaged = sum(float(getattr(share, name)) for share in shares) / 2
        assert averaged == pytest.approx(float(getattr(whole, name)), rel=1e-4), name


def test_paper_and_released_values_are_those_of_the_specification() -> None:
    rows = {
        name: (
            config.optimizer.learning_rate,
            config.num_steps,
            _stage(config).clips.num_frames,
            _stage(config).clips.max_objects,
            config.frozen,
            _stage(config).losses.weights.category,
            _stage(config).losses.weights.contrastive,
            config.optimizer.ema_decay,
        )
        for name in (
            f"{net}_stage{n}{ending}" for net in ("r50", "swin_t") for n in "123" for ending in ("", "_released")
        )
        for config in (find_recipe(name),)
    }
    backbone, both = ("backbone.",), ("backbone.", "pixel_decoder.")
    assert rows == {
        "r50_stage1": (1e-4, 354_000, 1, 30, (), 3.0, 0.5, 0.0),
        "r50_stage2": (5e-5, 708_000, 3, 20, backbone, 3.0, 0.5, 0.0),
        "r50_stage3": (5e-5, 177_000, 7, 20, both, 3.0, 0.5, 0.0),
        "r50_stage1_released": (5e-5, 354_000, 1, 30, (), 5.0, 0.5, 0.0),
        "r50_stage2_released": (5e-5, 354_000, 3, 20, backbone, 5.0, 0.5, 0.0),
        "r50_stage3_released": (2.5e-5, 354_000, 7, 20, backbone, 5.0, 0.25, 0.9999),
        "swin_t_stage1": (1e-4, 354_000, 1, 30, (), 3.0, 0.5, 0.0),
        "swin_t_stage2": (5e-5, 708_000, 3, 20, backbone, 3.0, 0.5, 0.0),
        "swin_t_stage3": (5e-5, 177_000, 7, 20, both, 3.0, 0.5, 0.0),
        "swin_t_stage1_released": (5e-5, 324_000, 1, 30, (), 5.0, 0.25, 0.0),
        "swin_t_stage2_released": (5e-5, 354_000, 5, 20, backbone, 5.0, 0.25, 0.0),
        "swin_t_stage3_released": (2.5e-5, 354_000, 7, 20, backbone, 5.0, 0.125, 0.9999),
    }


def test_every_stage_cuts_gradients_at_a_hundredth_and_decays_all_but_tables() -> None:
    for setting in Setting:
        for make in _STAGES.values():
            optimizer = make(small_network(), setting).optimizer
            assert (optimizer.gradient_clip, optimizer.weight_decay, optimizer.backbone_factor) == (0.01, 0.05, 0.1)
            assert optimizer.warmup_steps == 0


def test_stage_of_another_network_or_with_batches_of_many_sizes_is_refused() -> None:
    config = stage2(small_network(), Setting.PAPER)
    assert isinstance(_stage(config).clips.fit, ShortSide)
    with pytest.raises(ValueError, match="batch_size"):
        replace(config, batch_size=2)
    first = stage1(small_network(), Setting.PAPER)
    assert isinstance(_stage(first).clips.fit, SquareJitter)
    memory = replace(first.model.memory, dense_readout=True)
    with pytest.raises(ValueError, match="dense readout"):
        replace(first, model=replace(first.model, memory=memory))


def test_recipe_written_before_an_option_was_there_is_continued() -> None:
    config = _recipe("2")
    written = json.loads(config.to_json())
    del written["stage"]["overlap"]
    described = json.dumps(written)
    assert config.continues(described)
    other = replace(config, stage=replace(_stage(config), overlap=0))
    assert not other.continues(described)
    losses = replace(config, stage=replace(_stage(config), losses=released()))
    assert not losses.continues(config.to_json())


def test_text_dimension_of_the_words_is_that_of_the_network() -> None:
    assert small_network().text_dim == TEXT_DIM == Words.text_dim
