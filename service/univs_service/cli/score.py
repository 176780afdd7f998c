"""`univs score`: figures of predictions in files, in the formats of the evaluation servers."""

import json
import math
from pathlib import Path
from typing import Annotated

import typer

_SHOWN = 50  # rows of a table; the JSON has all


def score(
    name: Annotated[str, typer.Argument(help="Name of the data set; `univs data list` shows them.")],
    root: Annotated[Path, typer.Argument(help="The folder in which it was unpacked.")],
    predictions: Annotated[Path, typer.Argument(help="File or folder, as the benchmark's server takes it.")],
    *,
    split: Annotated[str, typer.Option(help="An annotated split.")] = "val",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
) -> None:
    """Score predictions against the annotation of a benchmark; docs/evaluation.md says what each figure means.

    univs score davis2017 data/DAVIS answers.zip --split val
    """
    from univs_service.cli.failures import reported

    with reported():
        from rich.console import Console
        from rich.table import Table

        from univs.evaluation.scoring.benchmarks import score_benchmark

        result = score_benchmark(name, root, split, predictions)
        table = Table("", *result.columns, title=f"{name}, {split}")
        for row in result.rows[:_SHOWN]:
            table.add_row(row.name, *("" if math.isnan(value) else f"{value:.4f}" for value in row.values))
        console = Console()
        console.print(table)
        if len(result.rows) > _SHOWN:
            console.print(f"{len(result.rows) - _SHOWN} rows more; --json FILE writes them")
        if json_file is not None:
            rows = [
                {
                    "name": row.name,
                    **{
                        column: None if math.isnan(value) else value
                        for column, value in zip(result.columns, row.values, strict=True)
                    },
                }
                for row in result.rows
            ]
            content = {"data": name, "split": split, "predictions": predictions.name, "rows": rows}
            json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
