"""The progress bar of commands that go through a video."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text


class _RateColumn(ProgressColumn):
    """Frames per second over the last moments."""

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:.1f} frames/s")


@contextmanager
def upload_progress(console: Console, name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while a file goes out, and give the function that takes (bytes sent, bytes in all)."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"uploading {name}", total=None)
        yield lambda sent, total: progress.update(task, completed=sent, total=total)


@contextmanager
def frame_progress(console: Console, name: str, num_frames: int | None) -> Iterator[Callable[[], None]]:
    """Show a bar while frames go by, and give the function that counts one; nothing is shown without a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=num_frames)
        yield lambda: progress.advance(task)
