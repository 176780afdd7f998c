"""The progress bar of a training run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from univs.training.monitor import StepReport

_LINES_EVERY = 50  # steps; where there is no terminal
_SMOOTHING = 0.95


@contextmanager
def step_progress(console: Console, name: str, step: int, num_steps: int) -> Iterator[Callable[["StepReport"], None]]:
    """Show steps, loss and speed while a run goes on; a line now and then where there is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    smoothed: list[float] = []

    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=num_steps, completed=step, loss=float("nan"))

        def show(report: "StepReport") -> None:
            last = smoothed[-1] if smoothed else report.total
            smoothed[:] = [_SMOOTHING * last + (1 - _SMOOTHING) * report.total]
            progress.update(task, completed=report.step, loss=smoothed[-1])
            if not console.is_terminal and report.step % _LINES_EVERY == 0:
                console.print(
                    f"step {report.step} of {num_steps}: loss {smoothed[-1]:.3f}, "
                    f"rate {report.learning_rate:.2g}, {report.seconds / 60:.1f} minutes"
                )

        yield show
