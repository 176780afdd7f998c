"""Multi-scale deformable attention (Zhu et al., 2021).

Two ways to read the places, equal but for rounding: `grid_sample` on accelerators, and on CPUs a weighted sum of rows
of the value table, which needs no copy of the values per head. A compiled kernel would be a third.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from univs.layers.cells import cell_centres, split_levels


@dataclass(frozen=True, slots=True)
class Places:
    """Where each query reads, and how much each place counts."""

    offsets: Tensor  # [N, L, heads, levels, points, 2], x before y, in cells from the query's own centre
    weights: Tensor  # [N, L, heads, levels, points], one over levels and points
    sizes: tuple[tuple[int, int], ...]  # (rows, columns) of each level


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
        shape = (batch, length, self.num_heads, self.num_levels, self.num_points)
        offsets = self.offsets(queries).view(*shape, 2)
        weights = self.weights(queries).view(batch, length, self.num_heads, -1).softmax(-1).view(shape)
        read = read_rows if queries.device.type == "cpu" else read_maps
        heads = self.value(values).view(batch, length, self.num_heads, -1)
        mixed = read(heads, Places(offsets, weights, tuple(sizes)))
        return torch.as_tensor(self.output(mixed.flatten(2)))

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


def read_maps(heads: Tensor, places: Places) -> Tensor:
    """Read places with `grid_sample`, zeros outside: [N, L, heads, d] -> [N, L, heads, d]."""
    batch, length, num_heads, channels = heads.shape
    scale = heads.new_tensor([(2 / columns, 2 / rows) for rows, columns in places.sizes])  # [levels, 2]
    centres = cell_centres(places.sizes, heads) * 2 - 1  # [L, 2], in the -1..1 of grid_sample
    grid = centres[:, None, None, None] + places.offsets * scale[:, None]
    grid = grid.permute(3, 0, 2, 1, 4, 5).flatten(1, 2)  # [levels, N * heads, L, points, 2]
    maps = [level.permute(0, 3, 4, 1, 2).flatten(0, 1) for level in split_levels(heads, places.sizes)]
    sampled = torch.cat(
        [
            functional.grid_sample(level, level_grid, align_corners=False)  # [N * heads, d, L, points]
            for level, level_grid in zip(maps, grid, strict=True)
        ],
        dim=-1,
    )  # [N * heads, d, L, levels * points]
    weights = places.weights.flatten(3).transpose(1, 2).flatten(0, 1)  # [N * heads, L, levels * points]
    mixed = torch.einsum("ndlp,nlp->nld", sampled, weights)
    return mixed.view(batch, num_heads, length, channels).transpose(1, 2)


def read_rows(heads: Tensor, places: Places) -> Tensor:
    """Read places as weighted sums of four rows each, zeros outside: [N, L, heads, d] -> [N, L, heads, d].

    Every level gets a rim of zeros, one cell before and two behind, so that no place needs a test.
    """
    batch, length, num_heads, channels = heads.shape
    device, dtype = heads.device, heads.dtype
    sizes = torch.tensor(places.sizes, device=device)
    rows, columns = (side[:, None] for side in sizes.to(dtype).unbind(-1))  # each [levels, 1]
    centres = cell_centres(places.sizes, heads)[:, None, None, None]  # [L, 1, 1, 1, 2]
    x = (centres[..., 0] * columns - 0.5 + places.offsets[..., 0]).clamp(min=-1).minimum(columns)
    y = (centres[..., 1] * rows - 0.5 + places.offsets[..., 1]).clamp(min=-1).minimum(rows)
    left, top = x.detach().floor(), y.detach().floor()  # cell centres are whole numbers here
    x, y = x - left, y - top
    cells = ((top + 1) * (columns + 3) + (left + 1)).long()  # inside the rim, [N, L, heads, levels, points]
    lengths = (sizes + 3).prod(-1)
    starts = (lengths.cumsum(0) - lengths)[:, None]
    pictures = torch.arange(batch, device=device).view(-1, 1, 1, 1, 1) * lengths.sum()
    head = torch.arange(num_heads, device=device).view(-1, 1, 1)
    first = cells * num_heads + ((pictures + starts) * num_heads + head)
    below = (sizes[:, 1:] + 3) * num_heads  # [levels, 1]
    corners = torch.cat([below * 0, below * 0 + num_heads, below, below + num_heads], dim=-1)[:, None]
    lower = places.weights * y
    upper = places.weights - lower
    lower_right, upper_right = lower * x, upper * x
    shares = torch.stack([upper - upper_right, upper_right, lower - lower_right, lower_right], dim=-1)
    mixed = functional.embedding_bag(
        (first[..., None] + corners).flatten(3).flatten(0, 2),
        _with_rims(heads, places.sizes),
        per_sample_weights=shares.flatten(3).flatten(0, 2),
        mode="sum",
    )
    return mixed.view(batch, length, num_heads, channels)


def _with_rims(heads: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
    """Surround every level with zeros and list the rows of all pictures, cells and heads: [rows, d]."""
    rimmed = [
        functional.pad(level, (0, 0, 1, 2, 1, 2)).flatten(1, 2) for level in split_levels(heads.flatten(2), sizes)
    ]
    return torch.cat(rimmed, dim=1).view(-1, heads.shape[-1])
