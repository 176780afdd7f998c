"""`univs score`: figures of predictions in files, in the formats of the evaluation servers."""

import json
from pathlib import Path
from typing import Annotated

import typer


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

        from univs.evaluation.scoring.benchmarks import score_benchmark
        from univs_service.cli.score_table import json_rows, print_scores

        result = score_benchmark(name, root, split, predictions)
        print_scores(Console(), f"{name}, {split}", result)
        if json_file is not None:
            content = {
                "data": name,
                "split": split,
                "predictions": predictions.name,
                "rows": json_rows(result.columns, result.rows),
                "clips": json_rows(result.columns, result.clips),
            }
            json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
