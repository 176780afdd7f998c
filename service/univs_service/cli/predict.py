"""`univs predict`: a network over a benchmark, its answers as the files that servers and `univs score` take."""

from pathlib import Path
from typing import Annotated

import typer


def predict(
    name: Annotated[str, typer.Argument(help="Name of the data set; `univs data list` shows them.")],
    root: Annotated[Path, typer.Argument(help="The folder in which it was unpacked.")],
    output: Annotated[
        Path, typer.Argument(help="The zip to write; a folder for segments, a JSON for instances of pictures.")
    ],
    *,
    split: Annotated[str, typer.Option(help="Which videos.")] = "val",
    weights: Annotated[str, typer.Option(help="Weights by name or path.")] = "nano",
    short_side: Annotated[
        int | None,
        typer.Option(min=32, help="Short side the network sees, pixels.", show_default="as the weights were made for"),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads, 0: torch decides.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
) -> None:
    """Run the segmenters of the service over a benchmark, and write the file that its server takes.

    univs predict youtube_vos2018 data/YouTubeVOS answers.zip --split valid --weights r50
    """
    from univs_service.cli.failures import reported

    with reported():
        import torch
        from rich.console import Console

        from univs.evaluation.predicting.benchmarks import Subject, predict_benchmark
        from univs.weights import load, load_classes
        from univs_service.cli.progress import frame_progress

        if threads:
            torch.set_num_threads(threads)
        model, info = load(weights, device)
        model.optimize_for_inference()
        classes = load_classes(weights) if info.is_trained else None
        subject = Subject(model, info.compat, classes, short_side)
        with frame_progress(Console(stderr=True), f"{info.name}, {name} {split}", None) as count:
            predict_benchmark(name, subject, root, split, output, count)
        typer.echo(str(output))
