"""The table of an ablation as Markdown: the paper's figures, where they are known, beside ours."""

from collections.abc import Sequence

import numpy as np

from univs.training.ablations.run import Row
from univs.training.recipes.ablations import Ablation

UNKNOWN = "not given here"
_IMPOSSIBLE = "none"


def table(ablation: Ablation, rows: Sequence[Row], num_steps: int) -> str:
    """Write a table; with several seeds a figure is a mean and the standard deviation over them."""
    names = [figure.value for figure in ablation.figures]
    head = ["variant", *(f"{name}, paper" for name in names), *(f"{name}, ours" for name in names), "loss"]
    lines = [
        f"{ablation.table}. {ablation.question}",
        "",
        _line(head),
        _line(["---"] * len(head)),
        *(_line([row.variant.name, *_paper(row, ablation), *_ours(row, ablation), _loss(row)]) for row in rows),
        "",
        _note(ablation, rows, num_steps),
    ]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _paper(row: Row, ablation: Ablation) -> list[str]:
    known = dict(row.variant.paper)
    return [f"{known[figure]:.1f}" if figure in known else UNKNOWN for figure in ablation.figures]


def _ours(row: Row, ablation: Ablation) -> list[str]:
    return [_figure(row.figures.get(figure)) for figure in ablation.figures]


def _figure(values: tuple[float, ...] | None) -> str:
    if values is None:
        return _IMPOSSIBLE
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


def _loss(row: Row) -> str:
    return f"{row.first_loss:.1f} → {row.last_loss:.1f}"


def _note(ablation: Ablation, rows: Sequence[Row], num_steps: int) -> str:
    num_seeds = max(len(values) for row in rows for values in row.figures.values())
    seeds = "one seed: differences between rows may be chance" if num_seeds == 1 else f"{num_seeds} seeds"
    ours = f"Ours: {num_steps} steps, {seeds}; figures in percent, loss over the first and the last tenth of the steps."
    has_paper = any(row.variant.paper for row in rows)
    return f"{ours} Paper: {ablation.paper_note}." if has_paper and ablation.paper_note else ours
