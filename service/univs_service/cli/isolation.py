"""`univs bench isolation`: what strict isolation costs in quality, on clips of several objects."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from univs.evaluation.isolation import IsolationReport


class _Prompt(StrEnum):
    MASK = "mask"
    BOX = "box"
    POINT = "point"


def isolation(
    root: Annotated[Path, typer.Argument(help="Folder of the data sets, in which `coco` or `coco_mini` lies.")],
    *,
    weights: Annotated[str, typer.Option(help="Weights by name or path.")] = "nano",
    split: Annotated[str, typer.Option(help="Stills of which split.")] = "dev",
    clips: Annotated[int, typer.Option(min=2, help="Clips that are made of them.")] = 40,
    frames: Annotated[int, typer.Option(min=2, help="Frames of a clip.")] = 8,
    size: Annotated[
        str, typer.Option(help="Height x width of the frames, multiples of 32.", metavar="HxW")
    ] = "320x480",
    prompt: Annotated[_Prompt, typer.Option(help="What is given in the first frame.")] = _Prompt.BOX,
    seed: Annotated[int, typer.Option(help="The same seed makes the same clips.")] = 0,
    short_side: Annotated[
        int | None, typer.Option(min=32, help="Short side the network sees, in pixels.", show_default="320")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: torch decides.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures, with machine and commit.")
    ] = None,
) -> None:
    """Follow the objects of stills set in motion, strictly apart and jointly, and print J, F and J&F of both.

    univs bench isolation data --weights nano --clips 40 --seed 0
    """
    from univs_service.cli.bench import read_size, write_json
    from univs_service.cli.failures import reported

    with reported():
        import torch
        from rich.console import Console

        from univs.data.catalog import open_source
        from univs.evaluation.isolation import clip_config, compare_isolations, draw_clips
        from univs.evaluation.run import PromptChoice
        from univs.inference.options import options_for
        from univs.weights import load
        from univs_service.cli.machine import this_machine
        from univs_service.cli.progress import frame_progress

        if threads:
            torch.set_num_threads(threads)
        source = open_source("coco_instances", root, split)
        model, info = load(weights)
        options = options_for(info.compat, short_side)
        drawn = draw_clips(source, clips, clip_config(frames, read_size(size)), seed)
        with frame_progress(Console(stderr=True), info.name, clips) as count:
            report = compare_isolations(
                model.optimize_for_inference(), options, drawn, PromptChoice(prompt.value), lambda _clip: count()
            )
        name = info.name if info.is_trained else f"{info.name} (untrained)"
        _print(f"{name}, {source.name}, {clips} clips of {frames} frames, prompt {prompt.value}, seed {seed}", report)
        if json_file is not None:
            write_json(
                json_file,
                this_machine(),
                weights=name,
                weights_sha256=info.sha256,
                data=source.name,
                num_clips=clips,
                num_frames=frames,
                prompt=prompt.value,
                seed=seed,
                strict=asdict(report.strict),
                joint=asdict(report.joint),
                gain=report.gain,
                gain_error=report.gain_error,
                objects=list(report.objects),
            )


def _print(title: str, report: "IsolationReport") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "J", "F", "J&F", title=title)
    for label, score in (("strict", report.strict), ("joint", report.joint)):
        mean = (score.region + score.boundary) / 2
        table.add_row(label, f"{score.region:.4f}", f"{score.boundary:.4f}", f"{mean:.4f}")
    console = Console()
    console.print(table)
    console.print(
        f"strict less joint, J&F: {report.gain:+.4f}, standard error over clips {report.gain_error:.4f}; "
        f"{len(report.objects)} objects"
    )
