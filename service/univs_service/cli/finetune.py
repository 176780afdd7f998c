"""`univs train finetune`: finished weights go on to learn from one's own videos, and are served by name."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from univs.training.finetuning import FineTuned


class _Prompt(StrEnum):
    MASK = "mask"
    BOX = "box"
    POINT = "point"


def finetune(
    root: Annotated[Path, typer.Argument(help="Folder of videos with masks (docs/finetune.md).")],
    *,
    name: Annotated[str, typer.Option(help="Name of the weights that come out.")],
    weights: Annotated[str, typer.Option(help="Weights to start from, by name or path.")] = "nano",
    validation: Annotated[
        list[str] | None,
        typer.Option(help="Video that is only measured on; repeat.", show_default="the folder's split, or a quarter"),
    ] = None,
    prompt: Annotated[_Prompt, typer.Option(help="What is given in the first frame when measuring.")] = _Prompt.MASK,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the run.")] = 120,
    max_minutes: Annotated[float, typer.Option(min=0, help="Stop training after this long.")] = 10.0,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips a step.")] = 2,
    rate: Annotated[float, typer.Option(min=0, help="Highest learning rate.")] = 2e-4,
    backbone: Annotated[bool, typer.Option("--backbone", help="Train the backbone too; slower.")] = False,
    to: Annotated[
        Path | None,
        typer.Option(help="Folder of weights that are served by name.", show_default="that of the service's settings"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the run.", show_default="runs/NAME")
    ] = None,
    even_if_worse: Annotated[bool, typer.Option("--even-if-worse", help="Put weights there that got worse.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace weights of this name.")] = False,
    short_side: Annotated[
        int | None, typer.Option(min=32, help="Short side the network sees when measured, pixels.", show_default="320")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make batches.")] = 1,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of the network, 0: torch decides.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
) -> None:
    """Go on from finished weights with your own videos, measure J&F before and after, and serve the result by name.

    The folder's videos are divided into those to train on and those to measure on. Weights that got better are written
    into the service's folder of weights with a card; a running service offers them within a second.

    univs train finetune cars --name cars --weights nano
    """
    from univs_service.cli.failures import reported

    with reported():
        import torch
        from rich.console import Console

        from univs.data.divided import open_divided
        from univs.evaluation.run import PromptChoice
        from univs.training.finetuning import Judge, check_name, fine_tune, install
        from univs.training.recipes.finetune import finetune as recipe
        from univs.training.trainer import RunLimits
        from univs.weights import load
        from univs_service.cli.finetune_card import write_card
        from univs_service.cli.machine import this_machine
        from univs_service.cli.options import overridden
        from univs_service.cli.progress import frame_progress
        from univs_service.cli.train_progress import step_progress

        console = Console(stderr=True)
        folder = to or overridden().own_weights
        run = output or Path("runs") / name
        check_name(name, folder, may_replace=force)
        if threads:
            torch.set_num_threads(threads)
        data = open_divided(root, validation or ())
        console.print(
            f"{data.how}: {len(data.train)} to train on, {', '.join(part.name for part in data.validation.parts)} "
            "to measure on"
        )
        _, initial = load(weights)
        config = recipe(
            name,
            weights,
            initial,
            num_steps=steps,
            batch_size=batch_size,
            learning_rate=rate,
            trains_backbone=backbone,
        )
        judge = Judge(PromptChoice(prompt.value), short_side, lambda what, count: frame_progress(console, what, count))
        limits = RunLimits(60 * max_minutes, num_workers=workers, device=device)
        with step_progress(console, name, 0, steps) as on_step:
            result = fine_tune(config, data, run, limits, judge, on_step)
        _print(Console(), initial.name, name, result)
        if not result.is_better and not even_if_worse:
            typer.secho(
                f"univs: {name} is no better than {initial.name} on the validation videos and is not served; it lies "
                f"in {result.path}. Give more videos, a lower --rate or other --steps; --even-if-worse serves it",
                fg=typer.colors.RED,
                err=True,
            )
            raise typer.Exit(1)
        path, info = install(result.path, weights, folder)
        card = write_card(path.with_suffix(".md"), info, initial, data, result, prompt.value, this_machine())
        typer.echo(f"{path} and {card} are written; a service with this folder of weights offers them as {name!r}")


def _print(console: "Console", old: str, new: str, result: "FineTuned") -> None:
    from rich.table import Table

    table = Table(title=f"J&F on the validation videos, {result.num_steps} steps, {result.seconds / 60:.1f} minutes")
    for column in ("", f"{old}: J", "F", "J&F", f"{new}: J", "F", "J&F"):
        table.add_column(column, justify="right" if column else "left")
    for one, other in zip(result.before.clips, result.after.clips, strict=True):
        figures = (one.region, one.boundary, one.mean, other.region, other.boundary, other.mean)
        table.add_row(one.clip, *(f"{value:.4f}" for value in figures))
    table.add_section()
    means = [(report.region, report.boundary, report.mean) for report in (result.before, result.after)]
    table.add_row("mean", *(f"{value:.4f}" for three in means for value in three))
    console.print(table)
