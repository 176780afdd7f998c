"""What `univs eval` does with DAVIS 2016: one object a clip, given by a mask, a box or a point, or a baseline."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from univs.evaluation.run import VosReport
    from univs.evaluation.trackers import TrackerFactory


@dataclass(frozen=True, slots=True)
class Choice:
    """Which weights are run, and how."""

    weights: str
    compat: str | None  # None: those of the weights
    short_side_px: int | None  # None: the semantics' own
    device: str


@dataclass(frozen=True, slots=True)
class Written:
    """What is written, and where; None for what is not."""

    png_folder: Path | None
    strip_folder: Path | None
    json_file: Path | None


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is evaluated."""

    name: str
    sha256: str | None = None  # of weights
    short_side_px: int | None = None  # that weights see
    note: str = ""


def run(root: Path, split: str, prompt: str, choice: Choice, baseline: str | None, written: Written) -> None:
    """Follow the object of every clip from its first frame, and print J, F and J&F."""
    from rich.console import Console

    from univs.data.formats.davis import Davis2016
    from univs.evaluation.run import PromptChoice, evaluate_vos
    from univs_service.cli.eval_record import VosRecord
    from univs_service.cli.machine import this_machine
    from univs_service.cli.progress import frame_progress

    source = Davis2016(root, split)
    subject, tracker = _subject(choice, baseline)
    num_frames = sum(source.num_frames(item_index) for item_index in range(len(source)))
    console = Console()
    with frame_progress(Console(stderr=True), subject.name, num_frames) as count:
        report = evaluate_vos(
            source,
            tracker,
            PromptChoice(prompt),
            written.png_folder,
            lambda _clip, _frame: count(),
            written.strip_folder,
        )
    _print_table(console, f"{subject.name}, {source.name}, prompt {prompt}", report)
    if subject.note:
        console.print(f"{subject.name}: {subject.note}")
    if written.json_file is not None:
        VosRecord.of(
            report,
            subject=subject.name,
            weights_sha256=subject.sha256,
            data="davis2016",
            split=split,
            prompt=prompt,
            short_side_px=subject.short_side_px,
            machine=this_machine(),
        ).write(written.json_file)


def _subject(choice: Choice, baseline: str | None) -> tuple[_Subject, "TrackerFactory"]:
    """Choose what is evaluated, and how it follows an object."""
    from univs.evaluation.trackers import CopyTracker, FlowTracker, SegmenterTracker
    from univs.inference.options import options_for
    from univs.types import Compat
    from univs.weights import load

    match baseline:
        case "copy":
            return _Subject("first mask copied"), CopyTracker
        case "flow":
            return _Subject("first mask carried by optical flow"), FlowTracker
        case _:
            model, info = load(choice.weights, choice.device)
            model.optimize_for_inference()
            name = info.name if info.is_trained else f"{info.name} (untrained)"
            compat = info.compat if choice.compat is None else Compat(choice.compat)
            options = options_for(compat, choice.short_side_px)
            subject = _Subject(name, info.sha256, options.short_side_px, info.note)
            return subject, lambda: SegmenterTracker(model, options)


def _print_table(console: "Console", title: str, report: "VosReport") -> None:
    from rich.table import Table

    table = Table(title=title)
    table.add_column("clip")
    for column in ("J", "F", "J&F", "frames"):
        table.add_column(column, justify="right")
    for clip in report.clips:
        table.add_row(clip.clip, f"{clip.region:.4f}", f"{clip.boundary:.4f}", f"{clip.mean:.4f}", str(clip.num_frames))
    table.add_section()
    table.add_row("mean", f"{report.region:.4f}", f"{report.boundary:.4f}", f"{report.mean:.4f}", "")
    console.print(table)
    console.print(f"{report.frames_per_s:.1f} frames/s, reading and scoring left out")
