"""Cells of the levels of a map, as tokens know them: where their centres lie, and from a list of cells back to maps."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def cell_centres(sizes: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
    """Give the centres of the cells of all levels, as fractions: [L, 2], x before y. Nobody writes into it."""
    return _cell_centres(tuple(sizes), like.dtype, like.device)


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)  # kept for training as well, which may come after inference
def _cell_centres(sizes: tuple[tuple[int, int], ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    centres = []
    for rows, columns in sizes:
        y = (torch.arange(rows, device=device, dtype=dtype) + 0.5) / rows
        x = (torch.arange(columns, device=device, dtype=dtype) + 0.5) / columns
        centres.append(torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1))
    return torch.cat(centres)


def split_levels(tokens: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Cut [N, L, ...], the cells of all levels, into one map [N, rows, columns, ...] a level."""
    levels = torch.split(tokens, [rows * columns for rows, columns in sizes], dim=1)
    return [level.view(len(level), *size, *level.shape[2:]) for level, size in zip(levels, sizes, strict=True)]
