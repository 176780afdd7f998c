"""Train and measure the variants of an ablation; a network that several rows share is trained once."""

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from univs import weights
from univs.model import UniVS
from univs.training.ablations.measure import measure
from univs.training.ablations.world import World
from univs.training.config import TrainConfig
from univs.training.recipes.ablations import Ablation, Figure, Variant
from univs.training.trainer import STATE_FILE, RunLimits, Trainer

_FIGURES = "figures.json"


@dataclass(frozen=True, slots=True)
class Trained:
    """A network with the loss that it had on the way."""

    model: UniVS
    losses: tuple[float, ...]  # of each step, all stages
    folder: Path  # of the last stage

    @property
    def first_loss(self) -> float:
        """Give the mean over the first tenth of the steps."""
        return float(np.mean(self.losses[: max(1, len(self.losses) // 10)]))

    @property
    def last_loss(self) -> float:
        """Give the mean over the last tenth of the steps."""
        return float(np.mean(self.losses[-max(1, len(self.losses) // 10) :]))


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of a variant: a figure for each seed; none for a figure that it cannot have."""

    variant: Variant
    figures: dict[Figure, tuple[float, ...]]
    first_loss: float  # mean over seeds
    last_loss: float


def run_ablation(
    ablation: Ablation,
    world: World,
    folder: Path,
    num_steps: int,
    seeds: Sequence[int] = (0,),
    on_variant: Callable[[str], None] | None = None,
) -> tuple[Row, ...]:
    """Train and measure every variant.

    Args:
        ablation: the table.
        world: the videos.
        folder: where runs go; what is there already is gone on with, or taken as it is when it is done.
        num_steps: of each variant, all stages together.
        seeds: of weights and batches, one run of each variant for each.
        on_variant: told what is begun.
    """
    rows = []
    for variant in ablation.variants:
        measured, trained = [], []
        for seed in seeds:
            if on_variant is not None:
                on_variant(f"{ablation.table}: {variant.name}, seed {seed}")
            trained.append(train(variant.fitted(num_steps, world.words.text_dim), world, folder, seed))
            measured.append(_measured(trained[-1], variant, world, ablation.figures))
        figures = {figure: tuple(each[figure] for each in measured) for figure in measured[0]}
        rows.append(
            Row(
                variant,
                figures,
                float(np.mean([each.first_loss for each in trained])),
                float(np.mean([each.last_loss for each in trained])),
            )
        )
    return tuple(rows)


def train(stages: Sequence[TrainConfig], world: World, folder: Path, seed: int) -> Trained:
    """Train the stages of a variant one after the other; runs that are done are not done again."""
    losses: list[float] = []
    own = folder
    path: Path | None = None
    for stage in stages:
        config = replace(stage, seed=seed, initial_weights=None if path is None else str(path))
        own = folder / _name(config, path, world.train.name)
        trainer = Trainer(config, world.mixture(config), own, world.table, world.words)
        if (own / STATE_FILE).is_file():
            trainer.resume()
        path = trainer.run(RunLimits(num_workers=0))
        losses += _losses(own / "curve.csv")
    assert path is not None, "a variant has a stage"
    model, _ = weights.load(path)
    model.text_encoder = world.words
    return Trained(model.eval().requires_grad_(False), tuple(losses), own)


def _measured(trained: Trained, variant: Variant, world: World, wanted: Sequence[Figure]) -> dict[Figure, float]:
    """Measure what was not measured before: figures are kept beside the weights, for other tables and other times."""
    path = trained.folder / _FIGURES
    kept: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    dev = world.dev
    place = f"{dev.name}, {len(dev)} x {dev.num_frames(0)} frames, {variant.tracker}, every {variant.interval}"
    known = kept.setdefault(place, {})
    missing = [figure for figure in wanted if figure not in known]
    known |= {figure.value: value for figure, value in measure(trained.model, variant, world, missing).items()}
    path.write_text(json.dumps(kept, indent=2), encoding="utf-8")
    return {figure: known[figure] for figure in wanted if figure in known}


def _losses(curve: Path) -> list[float]:
    with curve.open(newline="", encoding="utf-8") as file:
        return [float(line["total"]) for line in csv.DictReader(file)]


def _name(config: TrainConfig, start: Path | None, world: str) -> str:
    """Name the folder of a run by its recipe, by the run it starts from, and by what it learns from."""
    described = replace(config, initial_weights=None).to_json() + ("" if start is None else start.parent.name) + world
    return hashlib.sha256(described.encode()).hexdigest()[:16]
