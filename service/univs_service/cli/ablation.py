"""`univs train ablation`: the variants of one of the paper's tables, trained and measured at a small scale."""

from pathlib import Path
from typing import Annotated

import typer


def ablation(
    name: Annotated[
        str,
        typer.Argument(
            help="One of prompting, tracking, interaction, self-attention, detection-interval, category-only; "
            "or all of them: all."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the runs; what is done there is kept.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with coco_mini and text: photographs set in motion.", show_default="drawn shapes"),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of a variant.", show_default="300")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each variant, to tell differences from chance.")] = 1,
    videos: Annotated[int, typer.Option(min=1, help="Videos of 8 frames to measure by.")] = 8,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of the network, 0: torch decides.")] = 0,
) -> None:
    """Train and measure variants of the network, and print the paper's table beside ours.

    Without data the videos are drawn: shapes that drift over a floor. Tables go to OUTPUT/NAME.md too. A run that was
    broken off goes on, and networks that several tables share are trained once.

    univs train ablation interaction -o runs/ablations --steps 300 --seeds 3
    """
    from univs_service.cli.failures import reported

    with reported():
        import torch
        from rich.console import Console

        from univs.training.ablations.pictures import pictures_world
        from univs.training.ablations.run import run_ablation
        from univs.training.ablations.table import table
        from univs.training.ablations.world import shapes_world
        from univs.training.recipes.ablations import ABLATIONS, NUM_STEPS, base, find_ablation

        if threads:
            torch.set_num_threads(threads)
        ablations = [find_ablation(each) for each in (ABLATIONS if name == "all" else (name,))]
        num_steps = NUM_STEPS if steps is None else steps
        if data is None:
            world = shapes_world(base().model.text_dim, num_dev=videos)
        else:
            world = pictures_world(data, output / "cache", num_dev=videos)
        console = Console(stderr=True)
        for each in ablations:
            rows = run_ablation(each, world, output, num_steps, range(seeds), console.print)
            text = table(each, rows, num_steps)
            (output / f"{each.name}.md").write_text(f"{text}\n", encoding="utf-8")
            typer.echo(f"{text}\n")
