"""`univs weights fit-text`: the map that lets networks read text offline."""

from pathlib import Path
from typing import Annotated

import typer

_SUFFIX = ".text.safetensors"


def fit_text(
    data: Annotated[Path, typer.Option(help="Folder that holds `text`, the stored vectors of category names.")],
    output: Annotated[Path, typer.Option("-o", "--output", help=f"Where to write, NAME{_SUFFIX}.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace OUTPUT.")] = False,
) -> None:
    """Fit the map from sentences of all-MiniLM-L6-v2 into CLIP's text space, and measure it on names left out.

    Needs the packages of `pip install 'univs[text]'`.

    univs weights fit-text --data data -o weights/minilm-clip-vit-b32.text.safetensors
    """
    from univs_service.cli.failures import reported

    if not output.name.endswith(_SUFFIX):
        raise typer.BadParameter(f"expected a name that ends in {_SUFFIX}, got '{output}'", param_hint="OUTPUT")
    with reported():
        from rich.console import Console
        from rich.table import Table

        from univs.data.text_table import read_tables
        from univs.prompt_encoder import minilm, text_map
        from univs.training.text_map import fit_text_map

        if output.exists() and not force:
            raise FileExistsError(f"{output} exists already; choose another name, or give --force to replace it")
        tables = read_tables(data / "text")
        console = Console()
        with console.status("loading the sentence encoder") as status:
            fitted, report = fit_text_map(
                tables, minilm.load(), on_phrase=lambda phrase: status.update(f"encoding '{phrase}'")
            )
        output.parent.mkdir(parents=True, exist_ok=True)
        digest = text_map.write(fitted, output)
        table = Table(
            "phrase", "top-1", "top-5", title=f"{report.num_held_out} names left out, ranked among themselves"
        )
        for line in report.figures:
            table.add_row(line.phrase, f"{line.top_1:.3f}", f"{line.top_5:.3f}")
        console.print(table)
        console.print(f"fitted on {report.num_names} names; the last two phrases were not learned from")
        console.print(f"written: {output} ({output.stat().st_size / 1024:.0f} KiB), sha256 {digest}", soft_wrap=True)
