"""The curve of a training run as a picture."""

import csv
from pathlib import Path

import numpy as np

_PARTS = ("total", "cross_entropy", "dice")
_SMOOTHED_OVER = 10  # lines of the curve, each an evenly spaced step


def draw_curve(curve: Path, picture: Path) -> None:
    """Draw the losses of `curve.csv` over the steps, smoothed, with the raw values behind them; writes a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with curve.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    steps = np.array([int(line["step"]) for line in lines])
    figure = Figure(figsize=(9, 3), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, part in zip(figure.subplots(1, len(_PARTS)), _PARTS, strict=True):
        values = np.array([float(line[part]) for line in lines])
        axes.plot(steps, values, color="#c5d3e8", linewidth=0.8)
        axes.plot(steps, _smoothed(values), color="#1f5fae", linewidth=1.6)
        axes.set_title(part.replace("_", " "), fontsize=10)
        axes.set_xlabel("step", fontsize=9)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=100)


def _smoothed(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Average each value with those before it, up to `_SMOOTHED_OVER`."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - _SMOOTHED_OVER)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))
