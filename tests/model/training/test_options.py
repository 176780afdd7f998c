"""Options of a run that are off by default leave recipes and runs as they were."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.model.data.sources import MovingSquare

from univs.config import PromptingConfig
from univs.data.mixture import ClipMixture, MixtureEntry
from univs.data.text_table import TextTable
from univs.training.config import TrainConfig
from univs.training.monitor import StepReport
from univs.training.recipes import tiny_smoke
from univs.training.trainer import RunLimits, Trainer


def _run(config: TrainConfig, folder: Path) -> tuple[Trainer, list[StepReport]]:
    mixture = ClipMixture(((MovingSquare(), config.mixture[0]),), config.clip, config.batch_size, config.seed)
    generator = torch.Generator().manual_seed(0)
    names = ("square", "disk")
    table = TextTable({name: torch.randn(config.model.text_dim, generator=generator) for name in names})
    trainer = Trainer(config, mixture, folder, table)
    reports: list[StepReport] = []
    trainer.run(RunLimits(num_workers=0), reports.append)
    return trainer, reports


def _config(prompting: PromptingConfig | None = None, **changes: object) -> TrainConfig:
    smoke = tiny_smoke()
    model = smoke.model if prompting is None else replace(smoke.model, prompting=prompting)
    entry = MixtureEntry("squares", 1.0)
    return replace(smoke, model=model, mixture=(entry,), num_steps=2, learnable_share=1.0, **changes)  # type: ignore[arg-type]


def test_a_recipe_without_ablations_is_written_as_before() -> None:
    described = json.loads(tiny_smoke().to_json())
    assert not {"trains_prompts", "texts"} & described.keys()
    assert "prompting" not in described["model"]
    ablated = _config(PromptingConfig(early_fusion=True), trains_prompts=False)
    described = json.loads(ablated.to_json())
    assert described["model"]["prompting"]["early_fusion"] is True
    assert described["trains_prompts"] is False


def test_a_run_without_prompts_trains_the_learnable_queries_alone(tmp_path: Path) -> None:
    trainer, reports = _run(_config(trains_prompts=False), tmp_path)
    fresh = Trainer(trainer.config, trainer._mixture, tmp_path).model
    moved = {
        name for name, after in trainer.model.named_parameters() if not torch.equal(after, fresh.get_parameter(name))
    }
    assert "mask_decoder.query_content" in moved
    assert not {name for name in moved if name.startswith(("visual_queries.", "text_queries.", "readout."))}
    assert not {name for name in moved if ".prompt_attention." in name}
    assert all(report.category > 0 and report.contrastive == 0 for report in reports)


def test_a_run_that_would_train_nothing_in_some_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="learnable_share of 1"):
        replace(_config(), trains_prompts=False, learnable_share=0.5)


def test_names_reach_the_pixels_of_a_network_that_listens(tmp_path: Path) -> None:
    trainer, _ = _run(_config(PromptingConfig(early_fusion=True)), tmp_path)
    fusion = trainer.model.pixel_decoder.fusion
    assert fusion is not None
    fresh = Trainer(trainer.config, trainer._mixture, tmp_path).model.pixel_decoder.fusion
    assert fresh is not None
    assert not torch.equal(fusion.project.weight, fresh.project.weight)
