"""Figures of a benchmark on the terminal and as rows of JSON."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from univs.evaluation.scoring.table import ScoreRow, ScoreTable

_SHOWN = 50  # rows of a table; the JSON has all
_NAME_WIDTH, _COLUMN_WIDTH = 30, 11  # characters


def print_scores(console: "Console", title: str, scores: "ScoreTable") -> None:
    """Print figures over everything and of each class or object, and those of each clip above them."""
    from rich.table import Table

    console.width = max(console.width, _NAME_WIDTH + _COLUMN_WIDTH * len(scores.columns))  # figures are never cut
    table = Table("", *scores.columns, title=title)
    for row in scores.clips[:_SHOWN]:
        table.add_row(row.name, *_texts(row))
    if scores.clips:
        table.add_section()
    for row in scores.rows[:_SHOWN]:
        table.add_row(row.name, *_texts(row))
    console.print(table)
    left_out = max(0, len(scores.rows) - _SHOWN) + max(0, len(scores.clips) - _SHOWN)
    if left_out:
        console.print(f"{left_out} rows more; --json FILE writes them")


def json_rows(columns: "Sequence[str]", rows: "Sequence[ScoreRow]") -> list[dict[str, str | float | None]]:
    """Give rows as JSON has them: null where nothing was counted."""
    return [
        {
            "name": row.name,
            **{column: None if math.isnan(value) else value for column, value in zip(columns, row.values, strict=True)},
        }
        for row in rows
    ]


def _texts(row: "ScoreRow") -> list[str]:
    return ["" if math.isnan(value) else f"{value:.4f}" for value in row.values]
