"""What a step of training asks of the network: a rollout of its clips, or a stage of the paper."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from univs.data.sample import Batch
from univs.data.text_table import TextTable
from univs.losses.report import LossParts
from univs.mask_decoder.readout import DecodeOptions
from univs.model import UniVS
from univs.training.config import TrainConfig
from univs.training.criterion import learnable_loss, prompted_loss
from univs.training.pictures import draw_prompts, draw_rollout
from univs.training.rollout import frame_of, roll_out
from univs.training.stages.config import StageConfig
from univs.training.stages.step import MeanOf, StageDraws, stage_step
from univs.training.texts import TextDrawer, TextPrompts
from univs.types import ClipFeatures, ClipWords

_ROLLOUT_STREAM = 1 << 20  # keeps the random numbers of a step's rollout apart from those of its clips
_STAGE_STREAM = 1 << 22


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch lost, and how to draw what the network answered: uint8 [3, rows, columns]; None where no way is."""

    parts: LossParts
    draw: Callable[[], Tensor] | None


class Objective(Protocol):
    """What is asked."""

    def lose(self, model: UniVS, batch: Batch, step: int, first_place: int) -> Outcome:
        """Run a batch through the network and compare.

        Args:
            model: in training mode.
            batch: of the step.
            step: with the seed, what all random numbers depend on; the global generator of torch is set from it.
            first_place: of the batch's clips among those of all processes.
        """
        ...


class RolloutObjective:
    """Clips run as inference runs them, frame after frame; now and then the learnable queries on the first frame."""

    def __init__(self, config: TrainConfig, table: TextTable | None, texts: TextDrawer | None) -> None:
        self._config, self._table, self._texts = config, table, texts

    def lose(self, model: UniVS, batch: Batch, step: int, first_place: int) -> Outcome:
        """Run a batch through the network and compare."""
        config = self._config
        of_process = [first_place] if first_place else []
        rng = np.random.default_rng([config.seed, step, _ROLLOUT_STREAM, *of_process])
        torch.manual_seed(int(rng.integers(2**62)))
        texts = None if self._texts is None else self._texts.draw(batch, rng)
        words = self._words(model, batch, texts)
        if not config.trains_prompts:
            first = model.encode_frames(batch.images[:, :1], batch.frame_indices[:, :1], words)
            return Outcome(self._learnable(model, first, batch), None)
        rollout = roll_out(model, batch, config.rollout, rng, texts, words)
        parts = prompted_loss(rollout, batch, config.points)
        if rng.random() < config.learnable_share:
            parts = LossParts.sum([parts, self._learnable(model, rollout.features, batch)])
        return Outcome(parts, lambda: draw_rollout(batch, rollout))

    def _words(self, model: UniVS, batch: Batch, texts: TextPrompts | None) -> ClipWords | None:
        """Give the names of the categories and the texts of a batch, for networks whose pixels look at words."""
        if not model.config.prompting.early_fusion:
            return None
        rows, padding = [], []
        if self._table is not None:
            table = self._table.class_table(batch)
            places = torch.arange(table.vectors.shape[1], device=table.vectors.device)
            rows.append(table.vectors)
            padding.append(places >= torch.tensor(table.num_classes, device=places.device)[:, None])
        if texts is not None:
            rows.append(texts.sentences)
            padding.append(~texts.is_used)
        return ClipWords(torch.cat(rows, dim=1), torch.cat(padding, dim=1)) if rows else None

    def _learnable(self, model: UniVS, features: ClipFeatures, batch: Batch) -> LossParts:
        """Decode the first frame once more, with the learnable queries."""
        table = None if self._table is None else self._table.class_table(batch)
        prediction = model.decode(
            frame_of(features, 0),
            None,
            use_learnable=True,
            class_table=None if table is None else table.vectors,
            options=DecodeOptions(with_auxiliary=True),
        )
        return learnable_loss(prediction, batch, table, self._config.points, self._config.costs)


class StageObjective:
    """Clips decoded whole, or window by window, learnable queries beside prompts."""

    def __init__(
        self, config: StageConfig, seed: int, table: TextTable | None, texts: TextDrawer | None, mean_of: MeanOf
    ) -> None:
        self._config, self._seed, self._table, self._texts, self._mean_of = config, seed, table, texts, mean_of

    def lose(self, model: UniVS, batch: Batch, step: int, first_place: int) -> Outcome:
        """Run a batch through the network and compare."""
        draws = StageDraws.of(self._seed, step, _STAGE_STREAM, first_place, len(batch.images))
        torch.manual_seed(int(draws.shared.integers(2**62)))
        found = stage_step(
            model, batch, self._config, draws, table=self._table, texts=self._texts, mean_of=self._mean_of
        )
        return Outcome(found.parts, lambda: draw_prompts(batch, found.masks, found.mask_logits))
