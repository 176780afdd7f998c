"""`univs weights`: what checkpoints there are, published ones brought over, files checked and described."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from univs_service.cli.fit_text import fit_text

weights = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="List, convert, verify and describe checkpoints.",
    rich_markup_mode=None,
)

weights.command("fit-text")(fit_text)

_MEBIBYTE = 2**20
_SHORT_HASH = 12


class Variant(StrEnum):
    """The published networks."""

    R50 = "r50"
    SWIN_T = "swin_t"
    SWIN_B = "swin_b"
    SWIN_L = "swin_l"


@weights.command("list")
def list_weights() -> None:
    """Show the checkpoints that are found by name, and the architectures that can run untrained."""
    from univs_service.cli.failures import reported

    with reported():
        from rich.console import Console
        from rich.table import Table

        from univs import weights as checkpoints
        from univs.companions import classes_path, text_path
        from univs.errors import WeightsError

        table = Table("name", "trained", "MiB", "sha256", "beside it", "note")
        found = checkpoints.files()
        for path in found:
            size = f"{path.stat().st_size / _MEBIBYTE:.1f}"
            try:
                info = checkpoints.describe(path)
            except WeightsError as error:
                table.add_row(path.stem, "?", size, "", "", str(error))
                continue
            beside = [
                name for name, file in (("text", text_path(path)), ("classes", classes_path(path))) if file.is_file()
            ]
            trained = "yes" if info.is_trained else "no"
            table.add_row(path.stem, trained, size, info.sha256[:_SHORT_HASH], ", ".join(beside), info.note)
        untrained = [name for name in checkpoints.variants() if name not in {path.stem for path in found}]
        console = Console()
        if found:
            console.print(table)
        else:
            console.print("no checkpoint was found by name; one can be given by its path")
        console.print(f"architectures that run untrained (their masks mean nothing): {', '.join(untrained)}")


@weights.command()
def convert(
    checkpoint: Annotated[Path, typer.Argument(help="Published checkpoint: .pth, or its tensors as .safetensors.")],
    out: Annotated[Path, typer.Argument(help="Where to write, NAME.safetensors.")],
    *,
    variant: Annotated[Variant | None, typer.Option(help="Which network.", show_default="by its shapes")] = None,
    averages: Annotated[bool, typer.Option("--averages", help="Take the running averages of the weights.")] = False,
    text_tower: Annotated[
        str | None,
        typer.Option(
            help="Text tower of CLIP RN50x4, for text prompts: a file as published or of open_clip, or a pretrained "
            "tag of open_clip (openai), which is fetched.",
            metavar="PATH|TAG",
        ),
    ] = None,
    class_table: Annotated[Path | None, typer.Option(help="Published class vectors; for categories.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Store matrices in float16: half the size, not exact.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT and what lies beside it.")] = False,
) -> None:
    """Bring a published checkpoint over, without executing code from it.

    Every tensor is accounted for: unknown or missing ones are refused, and what is left out is shown with its reason.
    The text tower and the class vectors are written beside OUT, as NAME.text.safetensors and NAME.classes.safetensors.

    univs weights convert univs_r50.pth r50.safetensors --text-tower openai
    """
    from univs_service.cli.failures import reported

    if out.suffix != ".safetensors":
        raise typer.BadParameter(f"expected a name that ends in .safetensors, got '{out}'", param_hint="OUT")
    with reported():
        from dataclasses import replace

        from rich.console import Console

        from univs import companions
        from univs import weights as checkpoints
        from univs.prompt_encoder import clip_text
        from univs_service.cli.account import account_table

        tower_file = None if text_tower is None else _tower_file(text_tower)
        wanted = {
            out: checkpoint,
            companions.text_path(out): tower_file,
            companions.classes_path(out): class_table,
        }
        _refuse_existing(wanted, is_forced=force)
        model, info, conversion = checkpoints.load_published(
            checkpoint, None if variant is None else variant.value, use_averages=averages
        )
        # All is read before anything is written, so that a wrong file leaves nothing behind.
        tower = None if tower_file is None else clip_text.load(tower_file)
        classes = None if class_table is None else companions.read_published_classes(class_table, model.config.text_dim)
        out.parent.mkdir(parents=True, exist_ok=True)
        info = checkpoints.save(model, out, replace(info, name=out.stem), half=half)
        if tower is not None:
            companions.write_text_tower(tower, companions.text_path(out), half=half)
        if classes is not None:
            companions.write_classes(classes, companions.classes_path(out))
        console = Console()
        console.print(account_table(f"{checkpoint.name} as {model.config.name}", conversion))
        for path, source in wanted.items():
            if source is not None:
                console.print(f"written: {path} ({path.stat().st_size / _MEBIBYTE:.1f} MiB)", soft_wrap=True)
        console.print(f"sha256 of the content: {info.sha256}", soft_wrap=True)


@weights.command()
def verify(
    file: Annotated[str, typer.Argument(help="Checkpoint, by path or name.")],
) -> None:
    """Check hash, config, names, shapes and finite values of a checkpoint and of what lies beside it.

    Exit status 1, with the reason, when something is wrong.
    """
    from univs_service.cli.failures import reported

    with reported():
        from univs import weights as checkpoints
        from univs.companions import classes_path, text_path

        path = checkpoints.find(file)
        info = checkpoints.verify(path)
        beside = [other.name for other in (text_path(path), classes_path(path)) if other.is_file()]
        typer.echo(f"{path} is whole: {info.config.name}, sha256 {info.sha256}")
        typer.echo(f"beside it, whole as well: {', '.join(beside)}" if beside else "nothing lies beside it")


@weights.command()
def describe(
    file: Annotated[str, typer.Argument(help="Checkpoint, by path or name; or an architecture that runs untrained.")],
) -> None:
    """Print what a checkpoint says of itself as JSON: name, trained or not, semantics, note, hash, config."""
    from univs_service.cli.failures import reported

    with reported():
        import json

        from univs import weights as checkpoints
        from univs.config_json import config_to_json
        from univs.errors import WeightsNotFoundError

        described: dict[str, object]
        try:
            info = checkpoints.describe(file)
        except WeightsNotFoundError:
            config = checkpoints.variants().get(file)
            if config is None:
                raise
            described = {"name": file, "is_trained": False}
        else:
            config = info.config
            described = {
                "name": info.name,
                "is_trained": info.is_trained,
                "trained_for": info.trained_for,
                "compat": info.compat,
                "note": info.note,
                "sha256": info.sha256,
            }
        typer.echo(json.dumps(described | {"config": json.loads(config_to_json(config))}, indent=2))


def _tower_file(path_or_tag: str) -> Path:
    """Find the file of a text tower; a tag of open_clip is fetched, unless a file has its name."""
    from univs.prompt_encoder import clip_text

    path = Path(path_or_tag)
    return clip_text.fetch(path_or_tag) if path_or_tag in clip_text.tags() and not path.exists() else path


def _refuse_existing(wanted: dict[Path, Path | None], *, is_forced: bool) -> None:
    """Refuse to replace files, unless told to; refuse to write over what is read in any case."""
    for path, source in wanted.items():
        if source is None:
            continue
        if path.exists() and any(other is not None and _is_same(path, other) for other in wanted.values()):
            raise FileExistsError(f"{path} is one of the files to be read; write to another one")
        if path.exists() and not is_forced:
            raise FileExistsError(f"{path} exists already; choose another name, or give --force to replace it")


def _is_same(path: Path, other: Path) -> bool:
    return other.exists() and path.samefile(other)
