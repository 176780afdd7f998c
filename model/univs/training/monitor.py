"""The record of a run: a curve as CSV, the same in TensorBoard, and pictures of predictions."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from univs.drawing import to_array
from univs.losses.report import LossParts


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step, as a line of the curve."""

    step: int
    seconds: float
    total: float
    learning_rate: float
    gradient_norm: float
    cross_entropy: float
    dice: float
    category: float
    contrastive: float
    auxiliary: float
    presence: float

    @classmethod
    def of(cls, step: int, seconds: float, total: float, rates: tuple[float, float], parts: LossParts) -> "StepReport":
        """Put a report together; `rates` are learning rate and norm of the gradient."""
        values = (float(getattr(parts, field.name).detach()) for field in fields(parts))
        return cls(step, seconds, total, *rates, *values)


class Monitor:
    """Write the record of one run; `open_monitor` closes it."""

    def __init__(self, folder: Path, last_step: int) -> None:
        self._curve = folder / "curve.csv"
        self._pictures = folder / "pictures"
        self._pictures.mkdir(parents=True, exist_ok=True)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=last_step + 1)
        _keep_lines_to(self._curve, last_step)

    def write(self, report: StepReport) -> None:
        """Add a step to the curve."""
        with self._curve.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(f"{value:.6g}" for value in astuple(report))
        for field in fields(report):
            if field.name not in {"step", "seconds"}:
                value = getattr(report, field.name)
                self._board.add_scalar(f"train/{field.name}", value, report.step)

    def show(self, step: int, picture: Tensor) -> None:
        """Add a picture, uint8 [3, H, W]."""
        Image.fromarray(to_array(picture)).save(self._pictures / f"{step:07d}.jpg", quality=88)
        self._board.add_image("train/predictions", picture, step)

    def close(self) -> None:
        """Write what is buffered."""
        self._board.close()


@contextmanager
def open_monitor(folder: Path, last_step: int) -> Iterator[Monitor]:
    """Open the record of a run that goes on after a step; what an earlier attempt wrote beyond it is dropped."""
    monitor = Monitor(folder, last_step)
    try:
        yield monitor
    finally:
        monitor.close()


@contextmanager
def no_monitor() -> Iterator[None]:
    """Record nothing: one of several processes does."""
    yield None


def _keep_lines_to(curve: Path, last_step: int) -> None:
    names = [field.name for field in fields(StepReport)]
    kept: list[list[str]] = []
    if curve.is_file():
        with curve.open(newline="", encoding="utf-8") as file:
            kept = [line for line in csv.reader(file) if line[0].isdigit() and int(line[0]) <= last_step]
    with curve.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *kept])
