import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from univs import weights
from univs.data.mixture import ClipMixture, MixtureEntry
from univs.data.sample import Batch, Picture
from univs.data.text_table import TextTable
from univs.errors import InputError
from univs.losses.report import LossWeights
from univs.model import UniVS
from univs.prompt_encoder.sampling import CellChoice
from univs.training.config import OptimizerConfig, Schedule, TrainConfig
from univs.training.criterion import prompted_loss
from univs.training.monitor import StepReport
from univs.training.optimizer import WeightAverage, build_optimizer, rate_factor, set_rate
from univs.training.pictures import draw_rollout
from univs.training.recipes import RECIPES, find_recipe, tiny_smoke
from univs.training.rollout import RolloutConfig, roll_out
from univs.training.trainer import RunLimits, Trainer

_LIMITS = RunLimits(num_workers=0)


class Disks:
    """A source of one video: a bright disk moves over a dark ground."""

    name = "disks"
    vocabulary: tuple[str, ...] = ("disk",)
    is_exhaustive = True

    def __len__(self) -> int:
        return 1

    def num_frames(self, _item_index: int, /) -> int:
        return 10

    def read(self, _item_index: int, position: int, /) -> Picture:
        rows, columns = torch.meshgrid(torch.arange(80), torch.arange(120), indexing="ij")
        mask = (rows - 40) ** 2 + (columns - 30 - 5 * position) ** 2 <= 22**2
        image = torch.full((3, 80, 120), 30, dtype=torch.uint8)
        image[:, mask] = torch.tensor([220, 180, 60], dtype=torch.uint8)[:, None]
        return Picture(image, mask[None], (0,), ("the disk",))


def _config(**changes: object) -> TrainConfig:
    return replace(tiny_smoke(), **changes)  # type: ignore[arg-type]


def _mixture(config: TrainConfig) -> ClipMixture:
    entry = MixtureEntry("disks", 1.0, is_pasted=True)
    return ClipMixture(((Disks(), entry),), config.clip, config.batch_size, config.seed)


def _trainer(config: TrainConfig, folder: Path) -> Trainer:
    table = TextTable({"disk": torch.randn(config.model.text_dim, generator=torch.Generator().manual_seed(0))})
    return Trainer(config, _mixture(config), folder, table)


def _run(trainer: Trainer) -> list[StepReport]:
    reports: list[StepReport] = []
    trainer.run(_LIMITS, reports.append)
    return reports


def _batch(config: TrainConfig) -> Batch:
    return _mixture(config).batch(0)


def _loss(model: UniVS, config: TrainConfig) -> float:
    """Give the loss on one batch, always the same."""
    torch.manual_seed(0)
    batch = _batch(config)
    with torch.no_grad():
        rollout = roll_out(model, batch, config.rollout, np.random.default_rng(0))
        return float(prompted_loss(rollout, batch, config.points).total(LossWeights()))


def test_ten_steps_of_training_lower_the_loss(tmp_path: Path) -> None:
    config = _config(learnable_share=0.0)
    trainer = _trainer(config, tmp_path)
    before = _loss(trainer.model, config)
    assert len(_run(trainer)) == 10
    assert _loss(trainer.model, config) < 0.95 * before


def test_resumed_run_is_equal_to_the_last_bit(tmp_path: Path) -> None:
    config = _config(num_steps=4, learnable_share=0.5)
    whole = _trainer(config, tmp_path / "whole")
    reports = _run(whole)
    _trainer(config, tmp_path / "parts").run(replace(_LIMITS, max_steps=2))
    rest = _trainer(config, tmp_path / "parts")
    rest.resume()
    resumed = _run(rest)
    assert [report.total for report in resumed] == [report.total for report in reports[2:]]
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, rest.model.state_dict()[name]), name
        assert torch.equal(whole.average.state[name], rest.average.state[name]), name


def test_batches_made_by_another_process_are_the_same(tmp_path: Path) -> None:
    config = _config(num_steps=2, learnable_share=0.0)
    here, there = _trainer(config, tmp_path / "here"), _trainer(config, tmp_path / "there")
    here.run(_LIMITS)
    there.run(RunLimits(num_workers=1))
    for name, tensor in here.model.state_dict().items():
        assert torch.equal(tensor, there.model.state_dict()[name]), name


def test_resuming_another_recipe_or_nothing_is_refused(tmp_path: Path) -> None:
    trainer = _trainer(_config(num_steps=1), tmp_path)
    with pytest.raises(InputError, match="found none"):
        trainer.resume()
    trainer.run(_LIMITS)
    _trainer(_config(num_steps=9), tmp_path).resume()
    with pytest.raises(InputError, match="another recipe"):
        _trainer(_config(seed=5), tmp_path).resume()


def test_time_limit_ends_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    trainer = _trainer(_config(), tmp_path)
    trainer.run(replace(_LIMITS, max_seconds=0.0))
    rest = _trainer(_config(), tmp_path)
    rest.resume()
    assert rest.step == trainer.step == 0


def test_everything_a_recipe_writes_is_there(tmp_path: Path) -> None:
    config = _config(num_steps=5)
    path = _trainer(config, tmp_path).run(_LIMITS)
    with (tmp_path / "curve.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["step"]) for line in lines] == [1, 2, 3, 4, 5]
    assert list((tmp_path / "pictures").iterdir())
    assert list((tmp_path / "tensorboard").iterdir())
    model, info = weights.load(path)
    assert (info.name, info.is_trained) == ("tiny-smoke", True)
    assert model.config == config.model


def test_curve_drops_what_a_resumed_run_does_again(tmp_path: Path) -> None:
    config = _config(num_steps=4, learnable_share=0.0, monitor=replace(tiny_smoke().monitor, save_every=2))
    _trainer(config, tmp_path).run(replace(_LIMITS, max_steps=3))
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] == 3
    rest = _trainer(config, tmp_path)
    rest.resume()
    rest.run(_LIMITS)
    with (tmp_path / "curve.csv").open(newline="", encoding="utf-8") as file:
        assert [line["step"] for line in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_padded_object_slots_change_no_loss() -> None:
    config = _config(
        rollout=RolloutConfig(teacher_probability=1.0, correction_probability=0.0, forget_prior_probability=0.0)
    )
    config = replace(config, rollout=replace(config.rollout, choice=CellChoice.SPREAD))
    torch.manual_seed(0)
    model = UniVS(config.model)
    batch = _batch(config)
    padded = replace(
        batch,
        masks=functional.pad(batch.masks, (0, 0, 0, 0, 0, 0, 0, 2)),
        category_ids=functional.pad(batch.category_ids, (0, 2), value=-1),
        is_padding=functional.pad(batch.is_padding, (0, 2), value=True),
    )
    found = []
    for one in (batch, padded):
        rollout = roll_out(model, one, config.rollout, np.random.default_rng(0))
        torch.manual_seed(7)
        found.append(prompted_loss(rollout, one, config.points).total(LossWeights()))
    assert torch.allclose(found[0], found[1], rtol=1e-4)


def test_rollout_answers_every_frame_and_every_prompt() -> None:
    config = _config(rollout=RolloutConfig(correction_probability=1.0))
    model, batch = UniVS(config.model), _batch(config)
    rollout = roll_out(model, batch, config.rollout, np.random.default_rng(0))
    num_slots = batch.is_padding.shape[1]
    assert len(rollout.first) == 2
    assert len(rollout.later) == config.clip.num_frames - 1
    assert rollout.later[0].mask_logits.shape == (2, num_slots, 1, 16, 24)
    picture = draw_rollout(batch, rollout)
    assert picture.shape == (3, 4 * 64, 3 * 96)


def test_gradient_reaches_every_trained_part() -> None:
    config = _config(rollout=RolloutConfig(correction_probability=1.0, teacher_probability=1.0))
    model, batch = UniVS(config.model), _batch(config)
    rollout = roll_out(model, batch, config.rollout, np.random.default_rng(0))
    torch.autograd.backward(prompted_loss(rollout, batch, config.points).total(LossWeights()))
    for part in ("backbone", "pixel_decoder", "visual_queries", "mask_decoder", "readout", "presence"):
        module = model.get_submodule(part)
        assert any(p.grad is not None and bool(p.grad.any()) for p in module.parameters()), part


def test_optimizer_groups_backbone_decay_and_frozen_parts() -> None:
    model = UniVS(tiny_smoke().model)
    config = OptimizerConfig(learning_rate=1.0, backbone_factor=0.1, weight_decay=0.05)
    optimizer = build_optimizer(model, config, frozen=("backbone.stem.",))
    set_rate(optimizer, 2.0)
    by_id = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    named = dict(model.named_parameters())
    assert all(id(p) not in by_id for name, p in named.items() if name.startswith("backbone.stem."))
    assert by_id[id(named["mask_decoder.query_content"])]["weight_decay"] == 0.0
    assert by_id[id(named["mask_decoder.heads.to_text.weight"])]["weight_decay"] == 0.05
    assert by_id[id(named["mask_decoder.heads.to_text.bias"])]["weight_decay"] == 0.0
    stage = next(p for name, p in named.items() if name.startswith("backbone.stages"))
    assert by_id[id(stage)]["lr"] == pytest.approx(0.2)


def test_learning_rate_rises_then_falls() -> None:
    cosine = OptimizerConfig(warmup_steps=10, final_factor=0.1)
    rates = [rate_factor(step, 100, cosine) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    dropped = replace(cosine, schedule=Schedule.STEP, drop_at=0.5)
    assert [rate_factor(step, 100, dropped) for step in (20, 49, 50, 99)] == [1.0, 1.0, 0.1, 0.1]


def test_average_follows_the_weights() -> None:
    model = torch.nn.Linear(1, 1)
    average = WeightAverage(model, decay=0.5)
    with torch.no_grad():
        model.weight.fill_(1.0)
    start = average.state["weight"].clone()
    average.update(model)
    decay = 2 / 11  # young averages forget faster than the configured 0.5
    assert torch.allclose(average.state["weight"], decay * start + (1 - decay))


def test_recipes_are_valid_and_name_the_weights_they_make() -> None:
    configs = [make() for make in RECIPES.values()]
    stages = {f"{network}-stage{stage}" for network in ("r50", "swin-t") for stage in (1, 2, 3)}
    made = {"nano", "nano-research", "tiny-smoke"} | stages | {f"{name}-released" for name in stages}
    assert {config.name for config in configs} == made
    assert {config.initial_weights for config in configs} == {None, "nano", "nano-research"}
    assert find_recipe("tiny_smoke") == tiny_smoke()
    with pytest.raises(InputError, match="nano_vos"):
        find_recipe("stage4")


def test_open_recipe_uses_open_data_only() -> None:
    assert {entry.name for entry in find_recipe("nano_vos").mixture} <= {
        "coco_instances",
        "coco_panoptic",
        "clothing",
    }


def test_text_table_knows_names_in_any_spelling_and_leaves_unknown_ones_out() -> None:
    table = TextTable({"traffic_light": torch.ones(4), "Tree-merged": torch.zeros(4)})
    assert torch.equal(_found(table, "traffic light"), torch.ones(4))
    assert torch.equal(_found(table, "tree"), torch.zeros(4))
    assert table.find("unicorn") is None
    config = _config()
    classes = TextTable({"disk": torch.ones(4)}).class_table(_batch(config))
    assert classes.num_classes == (1, 1)
    assert set(classes.category_ids.flatten().tolist()) <= {-1, 0}
    nothing = TextTable({"unicorn": torch.ones(4)}).class_table(_batch(config))
    assert nothing.num_classes == (0, 0)
    assert set(nothing.category_ids.flatten().tolist()) == {-1}


def _found(table: TextTable, name: str) -> torch.Tensor:
    vector = table.find(name)
    assert vector is not None
    return vector
