"""Which cells of an object become its tokens, and what the pixels there look like.

Source: UniVS, section on the visual prompt sampler; the paper fixes the number of points and draws them at random.
"""

from enum import StrEnum
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from univs.prompt_encoder.tokens import PADDING


class CellChoice(StrEnum):
    """How R cells are chosen among those of an object."""

    RASTER = "raster"  # the first R in raster order, the list repeated when it is shorter: the published fixtures
    SPREAD = "spread"  # R evenly spaced ones along a space-filling curve, padded when there are fewer; deterministic
    RANDOM = "random"  # R drawn without replacement, padded when there are fewer: for training


def choose_cells(
    regions: Tensor, num_cells: int, choice: CellChoice, generator: torch.Generator | None = None
) -> Tensor:
    """Choose cells of each region.

    Args:
        regions: bool [N, h, w].
        num_cells: R, how many to choose.
        choice: the rule.
        generator: source of randomness for `CellChoice.RANDOM`.
    Returns:
        int64 [N, R], row * w + column, -1 where a region has no more cells. An empty region gives only -1.
    """
    height, width = regions.shape[-2:]
    flat = regions.flatten(1)  # [N, h*w]
    if choice is CellChoice.RANDOM:
        order = torch.randperm(height * width, generator=generator, device=flat.device)
    elif choice is CellChoice.SPREAD:
        order = _curve_order(height, width).to(flat.device)
    else:
        order = torch.arange(height * width, device=flat.device)
    members = flat[:, order]
    count = members.sum(dim=1, keepdim=True)  # [N, 1]
    rank = torch.arange(num_cells, device=flat.device)[None]
    if choice is CellChoice.RASTER:
        rank, is_padding = rank % count.clamp(min=1), (count == 0).expand(-1, num_cells)
    else:
        is_padding = rank >= count
        spaced = (2 * rank + 1) * count // (2 * num_cells)
        rank = torch.where(count > num_cells, spaced, rank)
        rank = rank.minimum((count - 1).clamp(min=0))
    first_members = torch.argsort(members.to(torch.uint8), dim=1, descending=True, stable=True)
    cells = order[first_members.gather(1, rank)]
    return cells.masked_fill(is_padding, PADDING)


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)  # kept for training as well, which may come after inference
def _curve_order(height: int, width: int) -> Tensor:
    """Give the cells of a grid in Z-order, so that neighbours in the list are neighbours in the picture: [h*w].

    Nobody writes into the result: it is shared.
    """
    rows = torch.arange(height)[:, None].expand(height, width).flatten()
    columns = torch.arange(width)[None, :].expand(height, width).flatten()
    key = torch.zeros_like(rows)
    for bit in range(max(height, width).bit_length()):
        key |= ((columns >> bit) & 1) << (2 * bit) | ((rows >> bit) & 1) << (2 * bit + 1)
    return torch.argsort(key)


def choose_background_cells(
    regions: Tensor, num_cells: int, choice: CellChoice, generator: torch.Generator | None = None
) -> Tensor:
    """Choose cells off each object: half of them close to its border, half anywhere else.

    Args:
        regions: bool [N, h, w], the cells the object touches.
        num_cells: R, how many to choose.
        choice: the rule, as for the object itself.
        generator: source of randomness for `CellChoice.RANDOM`.
    Returns:
        int64 [N, R], as `choose_cells`; only padding for an empty region, whose background nobody knows.
    """
    reach = 5  # cells: two on each side of the border
    grown = functional.max_pool2d(regions[:, None].float(), reach, stride=1, padding=reach // 2)[:, 0].bool()
    is_known = regions.flatten(1).any(dim=1)[:, None, None]
    near = choose_cells(grown & ~regions, num_cells // 2, choice, generator)
    far = choose_cells(~grown & is_known, num_cells - num_cells // 2, choice, generator)
    return torch.cat([near, far], dim=1)


def gather_cells(level: Tensor, cells: Tensor) -> Tensor:
    """Take the features at cells, zeros at padding.

    Args:
        level: [B, C, h, w].
        cells: int64 [B, N, R].
    Returns:
        [B, N, R, C].
    """
    batch, num_regions, num_cells = cells.shape
    rows = level.flatten(2).transpose(1, 2)  # [B, h*w, C]
    index = cells.clamp(min=0).flatten(1)[..., None].expand(-1, -1, rows.shape[-1])
    features = rows.gather(1, index).view(batch, num_regions, num_cells, rows.shape[-1])
    return features.masked_fill((cells == PADDING)[..., None], 0)


def gather_points(level: Tensor, points_xy: Tensor) -> Tensor:
    """Interpolate the features at points, bilinear, as the published sampler does.

    Args:
        level: [C, h, w].
        points_xy: [K, 2], fractions of the padded picture.
    Returns:
        [K, C].
    """
    grid = (points_xy * 2 - 1)[None, :, None].to(level.dtype)  # [1, K, 1, 2]
    sampled = functional.grid_sample(level[None], grid, mode="bilinear", align_corners=False)
    return sampled[0, :, :, 0].transpose(0, 1)
