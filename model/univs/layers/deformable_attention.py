"""Multi-scale deformable attention (Zhu et al., 2021) with `grid_sample`.

The only place where a compiled kernel may be chosen one day.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class DeformableAttention(nn.Module):
    """Each query reads a few learned places of every level."""

    def __init__(self, channels: int, num_heads: int, num_levels: int, num_points: int) -> None:
        super().__init__()
        self.num_heads, self.num_levels, self.num_points = num_heads, num_levels, num_points
        num_places = num_heads * num_levels * num_points
        self.offsets = nn.Linear(channels, num_places * 2)  # laid out head, level, point, xy
        self.weights = nn.Linear(channels, num_places)
        self.value = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)
        self._initialise()

    def forward(self, queries: Tensor, values: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Attend from the cells of all levels to places in all levels.

        Args:
            queries: [N, L, C], positions added; L counts the cells of all levels, level by level in raster order.
            values: [N, L, C].
            sizes: (rows, columns) of each level.
        Returns:
            [N, L, C].
        """
        batch, length, _ = queries.shape
        places = (batch, length, self.num_heads, self.num_levels, self.num_points)
        offsets = self.offsets(queries).view(*places, 2)
        weights = self.weights(queries).view(batch, length, self.num_heads, -1).softmax(-1)
        scale = queries.new_tensor([(2 / columns, 2 / rows) for rows, columns in sizes])  # [levels, 2]
        centres = cell_centres(sizes, queries) * 2 - 1  # [L, 2], in the -1..1 of grid_sample
        grid = centres[:, None, None, None] + offsets * scale[:, None]  # [N, L, heads, levels, points, 2]
        grid = grid.permute(3, 0, 2, 1, 4, 5).flatten(1, 2)  # [levels, N * heads, L, points, 2]
        heads = self.value(values).transpose(1, 2).reshape(batch * self.num_heads, -1, length)
        sampled = torch.cat(
            [
                functional.grid_sample(level, level_grid, align_corners=False)
                for level, level_grid in zip(split_levels(heads, sizes), grid, strict=True)
            ],
            dim=-1,
        )  # [N * heads, C / heads, L, levels * points]
        mixed = torch.einsum("ndlp,nlp->nld", sampled, weights.transpose(1, 2).flatten(0, 1))
        return torch.as_tensor(self.output(mixed.view(batch, -1, length, mixed.shape[-1]).transpose(1, 2).flatten(2)))

    def _initialise(self) -> None:
        """Start with one direction a head, one step further for each point, and equal weights."""
        angles = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        directions = torch.stack([angles.cos(), angles.sin()], dim=-1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.num_points + 1)
        bias = directions[:, None, None] * steps[:, None]  # [heads, 1, points, 2]
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        for projection in (self.value, self.output):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)
        with torch.no_grad():
            self.offsets.bias.copy_(bias.expand(-1, self.num_levels, -1, -1).flatten())


def split_levels(tokens: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Cut [N, C, L], the cells of all levels, into one map [N, C, rows, columns] a level."""
    lengths = [rows * columns for rows, columns in sizes]
    levels = torch.split(tokens, lengths, dim=2)
    return [level.reshape(*level.shape[:2], *size) for level, size in zip(levels, sizes, strict=True)]


def cell_centres(sizes: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
    """Give the centres of the cells of all levels, as fractions: [L, 2], x before y."""
    centres = []
    for rows, columns in sizes:
        y = (torch.arange(rows, device=like.device, dtype=like.dtype) + 0.5) / rows
        x = (torch.arange(columns, device=like.device, dtype=like.dtype) + 0.5) / columns
        centres.append(torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1))
    return torch.cat(centres)
