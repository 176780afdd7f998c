"""What `segment` and `demo` share: results into files with a progress bar, and the table at the end."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from univs_service.cli.progress import frame_progress
from univs_service.cli.runs import Run, Stopwatch
from univs_service.exports import ResultSink
from univs_service.messages import FrameResultEvent

UNTRAINED = "untrained"
_MOST_LABELS = 20


@dataclass(frozen=True, slots=True)
class Summary:
    """What was done."""

    num_frames: int
    elapsed_s: float  # from before the first frame to after the last, decoding and writing included
    object_ids: tuple[int, ...]
    labels: tuple[str, ...]  # of entities and segments, those of most frames first
    weights: str
    warning: str | None  # why the video ended early
    doubt: str | None = None  # why answers mean nothing, or little


def write_results(
    run: Run,
    sinks: Sequence[ResultSink],
    console: Console,
    look: Callable[[FrameResultEvent], None] | None = None,
) -> Summary:
    """Hand every result to the sinks, and to `look`, as it comes."""
    watch = Stopwatch()
    num_frames, object_ids, weights, doubt = 0, set[int](), "unknown", None
    labels = Counter[str]()
    with frame_progress(console, run.video.name, run.num_frames) as advance:
        for frame in run.frames():
            for sink in sinks:
                sink.write(frame.result, frame.image)
            if look is not None:
                look(frame.result)
            num_frames += 1
            object_ids.update(answer.object_id for answer in frame.result.objects)
            labels.update(_labels_of(frame.result))
            weights, doubt = frame.result.weights, frame.result.warning or doubt
            advance()
    names = tuple(label for label, _ in labels.most_common())
    return Summary(num_frames, watch.elapsed_s, tuple(sorted(object_ids)), names, weights, run.warning, doubt)


def _labels_of(result: FrameResultEvent) -> set[str]:
    """Name what the frame shows."""
    labels = {answer.label for answer in result.objects if answer.label is not None and answer.area}
    for found in (result.semantic, result.panoptic):
        labels.update(segment.label for segment in (found.segments_info if found else ()) if segment.area)
    return labels


def print_summary(console: Console, summary: Summary, written: Sequence[Path]) -> None:
    """Show what was done, say plainly when the masks mean nothing, and when the video ended early."""
    table = Table(show_header=False)
    table.add_row("frames", str(summary.num_frames))
    table.add_row("seconds", f"{summary.elapsed_s:.2f}")
    table.add_row("frames/s", f"{summary.num_frames / summary.elapsed_s:.2f}")
    table.add_row("objects", ", ".join(map(str, summary.object_ids)) or "none")
    if summary.labels:
        more = len(summary.labels) - _MOST_LABELS
        names = [*summary.labels[:_MOST_LABELS], *([f"and {more} more"] if more > 0 else [])]
        table.add_row("categories", ", ".join(names))
    table.add_row("weights", summary.weights)
    table.add_row("written to", "\n".join(map(str, written)))
    console.print(table)
    if summary.weights == UNTRAINED:
        console.print("weights: untrained. They are random values, so these masks mean nothing.", style="yellow")
    elif summary.doubt is not None:
        console.print(f"warning: {summary.doubt}", style="yellow", markup=False)
    if summary.warning is not None:
        console.print(f"warning: {summary.warning}", style="yellow", markup=False)
