"""Look back one frame: which cells of the frame before a pixel came from, and whether the object was there.

Beyond the paper, whose memory knows an object by its looks alone: what looks like it then joins it. Here every cell of
the 1/8 map is matched with the cells around its place in the frame before, background and object alike, and the
object's previous mask is carried along these matches. Local matching of embeddings as in FEELVOS (Voigtlaender et al.,
2019), read by attention. The matches are the same for all objects of a frame, so they are made once.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_TILE = 8  # cells of a tile's side: a tile is compared with one window, by one product
_CLOSED = -1e4  # logit of cells out of reach; finite, so that cells of padding give no NaN


@dataclass(frozen=True, slots=True)
class Matches:
    """Where the cells of a frame came from."""

    weights: Tensor  # [B, K, 64, S]: tile, cell of the tile, cell of its window of the frame before; sums to 1
    likeness: Tensor  # [B, h, w], of each cell to its best match, at most 1
    radius: int

    def carry(self, priors: Tensor) -> Tensor:
        """Carry the masks of the frame before into this one.

        Args:
            priors: [B, Q, h, w] in [0, 1].
        Returns:
            [B, Q, h, w] in [0, 1].
        """
        grid = (priors.shape[-2], priors.shape[-1])
        windows = _windows(priors.permute(0, 2, 3, 1), self.radius)  # [B, K, S, Q]
        return _from_tiles(self.weights @ windows.to(self.weights.dtype), grid).permute(0, 3, 1, 2)


class LookBack(nn.Module):
    """Match a frame with the one before, and turn carried masks into a part of an object's pixel embedding."""

    def __init__(self, channels: int, width: int, key_dim: int, radius: int) -> None:
        super().__init__()
        self.radius = radius
        self.key = nn.Linear(channels, key_dim)
        self.log_temperature = nn.Parameter(torch.tensor(2.5))
        self.log_locality = nn.Parameter(torch.tensor(0.0))
        self.blend = nn.Conv2d(3, width, 3, padding=1, bias=False)

    def keys(self, level: Tensor) -> Tensor:
        """Give what a later frame is matched with: [B, C, h, w], the 1/8 map -> [B, h, w, D], of length 1."""
        return functional.normalize(self.key(level.permute(0, 2, 3, 1)), dim=-1)

    def match(self, level: Tensor, before: Tensor) -> Matches:
        """Match a frame with the one before.

        Args:
            level: [B, C, h, w], the 1/8 map of the frame.
            before: [B, h, w, D], `keys` of the frame before.
        """
        grid = (level.shape[-2], level.shape[-1])
        temperature = self.log_temperature.exp()
        queries = _to_tiles(self.keys(level) * temperature)  # [B, K, 64, D]
        windows = _windows(before.to(queries.dtype), self.radius)  # [B, K, S, D]
        logits = queries @ windows.transpose(2, 3)
        logits = logits + self._nearness(logits)
        logits = logits + _windows(before.new_ones(1, *grid, 1), self.radius).to(logits.dtype).sub(1).mul(-_CLOSED).mT
        likeness = _from_tiles(logits.amax(dim=-1, keepdim=True) / temperature, grid)[..., 0]
        return Matches(torch.softmax(logits, dim=-1), likeness, self.radius)

    def forward(self, matches: Matches, priors: Tensor, is_carried: Tensor | None) -> Tensor:
        """Give what the frame before says of each object.

        Args:
            matches: of the frame with the one before.
            priors: [B, Q, h, w] in [0, 1], where each object was in the frame before.
            is_carried: bool [B, Q]; False where `priors` is not of the frame before but of this one. None is all True.
        Returns:
            [B * Q, width, h, w], zeros for objects that were not seen.
        """
        known = priors.flatten(2).amax(dim=-1) > 0
        if is_carried is not None:
            known = known & is_carried
        known_map = known.to(matches.weights.dtype)[..., None, None].expand(-1, -1, *priors.shape[-2:])
        likeness = matches.likeness[:, None].expand(-1, priors.shape[1], -1, -1)
        maps = torch.stack([matches.carry(priors) * known_map, likeness * known_map, known_map], dim=2)
        blended: Tensor = self.blend(maps.flatten(0, 1))
        return blended

    def _nearness(self, like: Tensor) -> Tensor:
        """Give the logit of each cell of a window by its distance from each cell of the tile: [64, S]."""
        places = torch.arange(_TILE, device=like.device)
        window = torch.arange(_TILE + 2 * self.radius, device=like.device) - self.radius
        apart = (window[None] - places[:, None]).to(like.dtype) / self.radius  # [8, 8 + 2 radius], 1 is just in reach
        rows, columns = apart[:, None, :, None], apart[None, :, None, :]
        squared = (rows.square() + columns.square()).flatten(2).flatten(0, 1)
        in_reach = ((rows.abs() <= 1) & (columns.abs() <= 1)).flatten(2).flatten(0, 1)
        return torch.where(in_reach, -self.log_locality.exp() * squared, _CLOSED)


def _to_tiles(cells: Tensor) -> Tensor:
    """Cut a map into tiles: [B, h, w, D] -> [B, K, 64, D]; the last ones are filled up with zeros."""
    padded = _filled_up(cells)
    batch, height, width, channels = padded.shape
    tiles = padded.reshape(batch, height // _TILE, _TILE, width // _TILE, _TILE, channels)
    return tiles.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _from_tiles(tiles: Tensor, grid: tuple[int, int]) -> Tensor:
    """Put tiles together: [B, K, 64, D] -> [B, h, w, D]."""
    num_rows, num_columns = -(-grid[0] // _TILE), -(-grid[1] // _TILE)
    rows = tiles.reshape(len(tiles), num_rows, num_columns, _TILE, _TILE, tiles.shape[-1]).transpose(2, 3)
    return rows.flatten(3, 4).flatten(1, 2)[:, : grid[0], : grid[1]]


def _windows(cells: Tensor, radius: int) -> Tensor:
    """Give each tile the cells within `radius` of any of its own: [B, h, w, D] -> [B, K, (8 + 2 radius)^2, D]."""
    padded = functional.pad(_filled_up(cells), (0, 0, radius, radius, radius, radius))
    side = _TILE + 2 * radius
    return padded.unfold(1, side, _TILE).unfold(2, side, _TILE).flatten(4).flatten(1, 2).transpose(2, 3)


def _filled_up(cells: Tensor) -> Tensor:
    return functional.pad(cells, (0, 0, 0, -cells.shape[2] % _TILE, 0, -cells.shape[1] % _TILE))
