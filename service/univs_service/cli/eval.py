"""`univs eval`: benchmark figures of weights and of baselines."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class _Task(StrEnum):
    VIS = "vis"
    VSS = "vss"
    VPS = "vps"
    VOS = "vos"
    PVOS = "pvos"
    REFVOS = "refvos"
    IMAGE_INSTANCE = "image-instance"
    IMAGE_SEMANTIC = "image-semantic"
    IMAGE_PANOPTIC = "image-panoptic"
    IMAGE_REFERRING = "image-referring"


class _Prompt(StrEnum):
    MASK = "mask"
    BOX = "box"
    POINT = "point"


class _Compat(StrEnum):
    PAPER = "paper"
    RELEASED = "released"


class _Baseline(StrEnum):
    COPY = "copy"
    FLOW = "flow"


_DAVIS2016 = "davis2016"


def evaluate(
    root: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    *,
    task: Annotated[
        _Task | None, typer.Option(help="What is evaluated.", show_default="what the data set is for; davis2016: vos")
    ] = None,
    data: Annotated[str, typer.Option(help="Layout of the folder; `univs data list` shows the names.")] = _DAVIS2016,
    split: Annotated[
        str | None, typer.Option(help="Which clips.", show_default="the one to choose on: dev, val or valid")
    ] = None,
    prompt: Annotated[_Prompt, typer.Option(help="What is given in the first frame (davis2016).")] = _Prompt.MASK,
    weights: Annotated[str, typer.Option(help="Weights by name or path.")] = "nano",
    baseline: Annotated[
        _Baseline | None,
        typer.Option(help="Instead of weights: copy the first mask, or carry it by optical flow (davis2016)."),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="Keep the predictions here, as the benchmark's server takes them.")
    ] = None,
    write_png: Annotated[Path | None, typer.Option(help="Write masks here, CLIP/FRAME.png (davis2016).")] = None,
    write_strips: Annotated[
        Path | None, typer.Option(help="Write a picture of every clip here: the answer above the truth (davis2016).")
    ] = None,
    as_served: Annotated[
        bool,
        typer.Option("--as-served", help="In stills, find categories with the thresholds of the service."),
    ] = False,
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
    """Run the segmenters of the service over a data set, and print its official figures, clip by clip and in the mean.

    docs/evaluation.md says what each figure means.

    univs eval data/davis2016 --split dev --prompt box --weights nano

    univs eval data/coco --data coco_panoptic --split val --weights r50 --json figures.json
    """
    from univs_service.cli.failures import reported

    with reported():
        import torch

        from univs_service.cli import eval_benchmark, eval_objects

        if threads:
            torch.set_num_threads(threads)
        model = eval_objects.Choice(weights, None if compat is None else compat.value, short_side, device)
        if data == _DAVIS2016 and task in {None, _Task.VOS}:
            eval_objects.run(
                root,
                split or "dev",
                prompt.value,
                model,
                None if baseline is None else baseline.value,
                eval_objects.Written(write_png, write_strips, json_file),
            )
        else:
            _refuse(data, prompt=prompt is not _Prompt.MASK, baseline=baseline, png=write_png, strips=write_strips)
            asked = eval_benchmark.Asked(data, None if task is None else task.value, root, split, as_served)
            eval_benchmark.run(asked, model, write, json_file)


def _refuse(data: str, **options: object) -> None:
    """Refuse options that only objects of DAVIS 2016 have.

    Raises:
        InputError: for the first one that was given.
    """
    from univs.errors import InputError

    for name, value in options.items():
        if value:
            raise InputError(f"expected --{name} with the objects of davis2016 only, got it with {data}; leave it out")
