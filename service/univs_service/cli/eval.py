"""`univs eval`: benchmark figures of weights and of baselines."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from univs.evaluation.run import VosReport
    from univs.evaluation.trackers import TrackerFactory


class _Task(StrEnum):
    VOS = "vos"


class _Split(StrEnum):
    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


class _Prompt(StrEnum):
    MASK = "mask"
    BOX = "box"
    POINT = "point"


class _DataSet(StrEnum):
    DAVIS2016 = "davis2016"


class _Compat(StrEnum):
    PAPER = "paper"
    RELEASED = "released"


class _Baseline(StrEnum):
    COPY = "copy"
    FLOW = "flow"


def evaluate(
    root: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    *,
    task: Annotated[_Task, typer.Option(help="What is evaluated.")] = _Task.VOS,
    data: Annotated[_DataSet, typer.Option(help="Layout of the folder.")] = _DataSet.DAVIS2016,
    split: Annotated[_Split, typer.Option(help="Which clips.")] = _Split.DEV,
    prompt: Annotated[_Prompt, typer.Option(help="What is given in the first frame.")] = _Prompt.MASK,
    weights: Annotated[str, typer.Option(help="Weights by name or path.")] = "nano",
    baseline: Annotated[
        _Baseline | None,
        typer.Option(help="Instead of weights: copy the first mask, or carry it by optical flow."),
    ] = None,
    write_png: Annotated[Path | None, typer.Option(help="Write masks here, CLIP/FRAME.png.")] = None,
    write_strips: Annotated[
        Path | None, typer.Option(help="Write a picture of every clip here: the answer above the truth.")
    ] = None,
    compat: Annotated[
        _Compat | None, typer.Option(help="Semantics by which the network is run.", show_default="those of the weights")
    ] = None,
    short_side: Annotated[
        int | None,
        typer.Option(min=32, help="Short side the network sees, pixels.", show_default="320, or 640 when released"),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads, 0: torch decides.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures, with machine, commit and command.")
    ] = None,
) -> None:
    """Follow the objects of a data set from their first frame, and print J, F and J&F of every clip.

    The segmenter is the one that the service runs.

    univs eval data/davis2016 --split dev --prompt box --weights nano
    """
    from univs_service.cli.failures import reported

    with reported():
        import torch
        from rich.console import Console

        from univs.data.formats.davis import Davis2016
        from univs.evaluation.run import PromptChoice, evaluate_vos
        from univs_service.cli.eval_record import VosRecord
        from univs_service.cli.machine import this_machine
        from univs_service.cli.progress import frame_progress

        assert task is _Task.VOS
        assert data is _DataSet.DAVIS2016
        if threads:
            torch.set_num_threads(threads)
        source = Davis2016(root, split.value)
        subject, tracker = _subject(weights, baseline, compat, short_side, device)
        num_frames = sum(source.num_frames(item_index) for item_index in range(len(source)))
        console = Console()
        with frame_progress(Console(stderr=True), subject.name, num_frames) as count:
            report = evaluate_vos(
                source, tracker, PromptChoice(prompt.value), write_png, lambda _clip, _frame: count(), write_strips
            )
        _print_table(console, f"{subject.name}, {source.name}, prompt {prompt.value}", report)
        if subject.note:
            console.print(f"{subject.name}: {subject.note}")
        if json_file is not None:
            VosRecord.of(
                report,
                subject=subject.name,
                weights_sha256=subject.sha256,
                data=data.value,
                split=split.value,
                prompt=prompt.value,
                short_side_px=subject.short_side_px,
                machine=this_machine(),
            ).write(json_file)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is evaluated."""

    name: str
    sha256: str | None = None  # of weights
    short_side_px: int | None = None  # that weights see
    note: str = ""


def _subject(
    weights: str, baseline: _Baseline | None, compat: _Compat | None, short_side: int | None, device: str
) -> tuple[_Subject, "TrackerFactory"]:
    """Choose what is evaluated, and how it follows an object."""
    from univs.evaluation.trackers import CopyTracker, FlowTracker, SegmenterTracker
    from univs.inference.options import options_for
    from univs.types import Compat
    from univs.weights import load

    match baseline:
        case _Baseline.COPY:
            return _Subject("first mask copied"), CopyTracker
        case _Baseline.FLOW:
            return _Subject("first mask carried by optical flow"), FlowTracker
        case None:
            model, info = load(weights, device)
            model.optimize_for_inference()
            name = info.name if info.is_trained else f"{info.name} (untrained)"
            options = options_for(info.compat if compat is None else Compat(compat.value), short_side)
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
