"""Train a shrunken stage by itself or, under torchrun, as one of several processes: see test_processes.py."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from tests.model.training.shrunken import Shapes, shrunken, small_network

from univs.data.mixture import MixtureEntry, StageMixture
from univs.training.fabric import FabricProcesses, Sharing
from univs.training.recipes.stages import Setting, stage1
from univs.training.trainer import RunLimits, Trainer


def main(folder: str, sharing: str, batch_size: str) -> None:
    torch.set_num_threads(1)
    config = shrunken(stage1(small_network(), Setting.PAPER))
    assert config.stage is not None
    stage = replace(config.stage, category_probability=0.0)
    config = replace(config, batch_size=int(batch_size), num_steps=3, stage=stage)
    entry = MixtureEntry("shapes", 1.0)
    mixture = StageMixture(((Shapes(), entry),), stage.clips, config.batch_size, config.seed)
    processes = None if sharing == "alone" else FabricProcesses(Sharing(sharing), "cpu")
    trainer = Trainer(config, mixture, Path(folder), processes=processes)
    trainer.model.double()  # what is left to differ is the order of sums
    trainer.run(RunLimits(num_workers=0, autocast=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
