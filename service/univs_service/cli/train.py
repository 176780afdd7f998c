"""`univs train`: one recipe, in one folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from univs.training.fabric import FabricProcesses


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="Name of a recipe: nano_vos, nano_vos_long, nano_research_vos, nano_research_vos_long, tiny_smoke; "
            "r50_stage1 to r50_stage3, swin_t_stage1 to swin_t_stage3, each with _released at its end too."
        ),
    ],
    data: Annotated[Path, typer.Option(help="Folder that holds the folders of the data sets.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run: state, curve, weights.")],
    *,
    max_minutes: Annotated[float | None, typer.Option(help="Stop after this long; --resume goes on.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the whole run, other than the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Clips a step, other than the recipe's.")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate, other than the recipe's.")] = None,
    initial: Annotated[str | None, typer.Option(help="Weights to start from, by name or path.")] = None,
    text: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="How often an object is prompted by its name or expression; needs univs[text]."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded pictures.", show_default="beside OUTPUT")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make batches.")] = 1,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of the network, 0: torch decides.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
    strategy: Annotated[
        str | None, typer.Option(help="How processes that torchrun started share the run: ddp.", show_default="alone")
    ] = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Save memory: compute blocks once more on the way back.")
    ] = False,
    text_tower: Annotated[
        Path | None,
        typer.Option(
            help="CLIP text tower of a stage, as `univs weights convert` writes it.",
            show_default="beside the initial weights",
        ),
    ] = None,
) -> None:
    """Train a network by a recipe.

    The folder gets the state of the run (state.pt), its averaged weights (NAME.safetensors), curve.csv, TensorBoard
    events and pictures of predictions above which the truth is drawn.

    univs train nano_vos --data data -o runs/nano --max-minutes 30

    torchrun --nproc-per-node 8 --no-python univs train r50_stage1 --data data -o runs/s1 --strategy ddp --device cuda
    """
    from univs_service.cli.failures import reported

    with reported():
        from dataclasses import replace

        import torch
        from rich.console import Console

        from univs.training.recipes import find_recipe
        from univs.training.setup import open_trainer
        from univs.training.texts import TextPrompting
        from univs.training.trainer import RunLimits
        from univs_service.cli.train_progress import step_progress

        if threads:
            torch.set_num_threads(threads)
        config = find_recipe(recipe)
        config = replace(
            config,
            num_steps=steps or config.num_steps,
            batch_size=batch_size or config.batch_size,
            initial_weights=initial or config.initial_weights,
            optimizer=replace(config.optimizer, learning_rate=rate or config.optimizer.learning_rate),
        )
        if text is not None:
            config = replace(config, texts=TextPrompting(text) if text else None)
        processes = None
        if strategy is not None:
            processes = _meet(strategy, device)
        console = Console(stderr=True, quiet=processes is not None and processes.rank > 0)
        with console.status("opening data sets; pictures are decoded once"):
            trainer = open_trainer(
                config,
                data,
                output,
                cache or output.parent / "cache",
                processes=processes,
                text_tower=text_tower,
                device=device,
            )
        if resume:
            trainer.resume()
        seconds = float("inf") if max_minutes is None else 60 * max_minutes
        with step_progress(console, config.name, trainer.step, config.num_steps) as on_step:
            limits = RunLimits(seconds, num_workers=workers, device=device, recompute=recompute)
            path = trainer.run(limits, on_step)
        console.print(
            f"{trainer.step} of {config.num_steps} steps, {trainer.seconds / 60:.1f} minutes; weights: {path}"
        )


def _meet(strategy: str, device: str) -> "FabricProcesses":
    """Meet the other processes of a run."""
    from univs.errors import InputError
    from univs.training.fabric import FabricProcesses, Sharing

    if strategy not in set(Sharing):
        raise InputError(f"expected a strategy of {', '.join(Sharing)}, got {strategy!r}")
    return FabricProcesses(Sharing(strategy), device)
