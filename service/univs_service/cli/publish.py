"""`univs weights publish`: a finished run becomes a checkpoint that ships, with its figures."""

import csv
import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

_LARGEST_BYTES = 15_000_000


def publish(
    run: Annotated[Path, typer.Argument(help="Folder of the run, as `univs train` wrote it.")],
    *,
    figures: Annotated[list[Path], typer.Option(help="Figures, as `univs eval --json` wrote them; repeat.")],
    data: Annotated[list[str], typer.Option(help="Data set it was trained on; repeat.")],
    to: Annotated[Path, typer.Option(help="Folder of the checkpoints that ship.")] = Path("weights"),
) -> None:
    """Copy weights, recipe and curve of a run into a folder, and write manifest and the figures of the model card.

    Figures of the weights and of baselines may be given together. The card is NAME.md in the folder.

    univs weights publish runs/nano --figures dev.json --figures test.json --data coco_instances
    """
    from univs_service.cli.failures import reported

    with reported():
        from univs import weights as checkpoints
        from univs.errors import InputError
        from univs_service.cli.curve import draw_curve
        from univs_service.cli.eval_record import VosRecord
        from univs_service.cli.model_card import fill_card
        from univs_service.cli.weights_manifest import Manifest, WeightsEntry, sha256_of_file

        name = json.loads((run / "recipe.json").read_text(encoding="utf-8"))["name"]
        path = run / f"{name}.safetensors"
        info = checkpoints.verify(path)
        if path.stat().st_size > _LARGEST_BYTES:
            raise InputError(f"expected a checkpoint of at most {_LARGEST_BYTES} bytes, got {path.stat().st_size}")
        records = [VosRecord.read(file) for file in figures]
        own = tuple(record for record in records if record.weights_sha256 == info.sha256)
        strangers = [record for record in records if record.weights_sha256 not in (None, info.sha256)]
        if strangers or not own:
            raise InputError(
                f"expected figures of the weights {info.sha256[:12]} and of baselines, got some of "
                f"{[record.subject for record in strangers] or 'baselines only'}; evaluate {path} itself"
            )
        card = to / f"{name}.md"
        if not card.is_file():
            raise InputError(f"expected the model card {card}, got none; write it first, with the marks for figures")
        shutil.copyfile(path, to / path.name)
        shutil.copyfile(run / "recipe.json", to / f"{name}.recipe.json")
        shutil.copyfile(run / "curve.csv", to / f"{name}.curve.csv")
        draw_curve(run / "curve.csv", to / f"{name}.curve.png")
        num_steps, seconds = _length(run / "curve.csv")
        entry = WeightsEntry(
            name=name,
            file=path.name,
            num_bytes=path.stat().st_size,
            file_sha256=sha256_of_file(path),
            content_sha256=info.sha256,
            recipe=f"{name}.recipe.json",
            num_steps=num_steps,
            train_minutes=round(seconds / 60, 1),
            data=tuple(data),
            licence=info.note,
            figures=own,
        )
        baselines = tuple(record for record in records if record.weights_sha256 is None)
        manifest = Manifest.read(to).with_entry(entry).with_baselines(baselines)
        manifest.write(to)
        card.write_text(fill_card(card.read_text(encoding="utf-8"), entry, manifest), encoding="utf-8")
        typer.echo(f"{to / path.name}, {to / 'manifest.json'} and {card} are written")


def _length(curve: Path) -> tuple[int, float]:
    """Read how many steps a run took, and how many seconds."""
    with curve.open(encoding="utf-8", newline="") as file:
        *_, last = csv.DictReader(file)
    return int(last["step"]), float(last["seconds"])
