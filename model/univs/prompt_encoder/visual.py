"""Visual prompts as tokens: points, boxes, masks and scribbles sampled on the stride-8 map.

Source: UniVS, section on the visual prompt sampler. It has no weights; gradients flow into the map, and the published
training cuts them (pass the map detached).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from univs.prompt_encoder.regions import Canvas, mask_regions, prompt_region
from univs.prompt_encoder.sampling import (
    CellChoice,
    choose_background_cells,
    choose_cells,
    gather_cells,
    gather_points,
)
from univs.prompt_encoder.tokens import ObjectTokens, VisualTokens, mark_negative
from univs.types import PointPrompt, ScribblePrompt, VisualPrompt


@dataclass(frozen=True, slots=True)
class SamplerOptions:
    """How many tokens an object gets in one frame, and how their cells are chosen."""

    num_foreground: int
    num_background: int
    choice: CellChoice = CellChoice.SPREAD


def sample_masks(
    level: Tensor,
    masks: Tensor,
    frame_indices: Tensor,
    options: SamplerOptions,
    generator: torch.Generator | None = None,
) -> ObjectTokens:
    """Take tokens on and around objects given by masks, in one frame of each video.

    Args:
        level: [B, C, h, w], the stride-8 map of the frame that the masks belong to.
        masks: bool [B, O, H, W] over the padded picture, at any multiple of (h, w).
        frame_indices: int64 [B].
        options: how many tokens, which cells.
        generator: randomness for `CellChoice.RANDOM`.
    Returns:
        Tokens [B, O, 1, R] and [B, O, 1, R']; an empty mask gives padding only.
    """
    grid = (level.shape[-2], level.shape[-1])
    regions = mask_regions(masks.flatten(0, 1), grid, options.choice)
    on = choose_cells(regions, options.num_foreground, options.choice, generator)
    around = choose_background_cells(regions, options.num_background, options.choice, generator)
    frames = frame_indices[:, None, None].expand(-1, masks.shape[1], -1)
    foreground, background = (
        VisualTokens(gather_cells(level, cells)[:, :, None], cells[:, :, None], frames, frames, grid)
        for cells in (on.view(*masks.shape[:2], on.shape[1]), around.view(*masks.shape[:2], around.shape[1]))
    )
    return ObjectTokens(foreground, background)


def sample_prompts(
    level: Tensor, frame_index: int, prompts: Sequence[VisualPrompt], canvas: Canvas, options: SamplerOptions
) -> ObjectTokens:
    """Take the tokens of one object from everything that was said of it in one frame.

    Clicks come first: a positive one as the interpolated feature at the point, a negative one marked as off the object.
    Masks, boxes and scribbles share the tokens that are left, without the cells of negative clicks. Background tokens
    exist where the extent of the object is known: not for clicks or scribbles alone, but for negative clicks.

    Args:
        level: [C, h, w], the stride-8 map of the frame.
        frame_index: absolute index of the frame.
        prompts: at least one, all for the same object and frame.
        canvas: sizes of the frame, of the padded picture and of the map.
        options: how many tokens, which cells.
    Returns:
        Tokens [1, R, C] and [1, R', C].
    """
    clicks = [prompt for prompt in prompts if isinstance(prompt, PointPrompt)]
    areas = [prompt for prompt in prompts if not isinstance(prompt, PointPrompt)]
    points_xy = [point for prompt in clicks for point in prompt.points_xy]
    signs = [sign for prompt in clicks for sign in prompt.is_positive]
    if options.choice is CellChoice.RASTER and points_xy and not areas:  # published: R copies of the point
        times = -(-options.num_foreground // len(points_xy))
        points_xy, signs = points_xy * times, signs * times
    count = min(len(points_xy), options.num_foreground)
    points = level.new_tensor(points_xy[:count]).view(count, 2)
    is_positive = torch.tensor(signs[:count], dtype=torch.bool, device=level.device)
    places = _cells_of(canvas.to_cells(points), canvas.grid)
    region = torch.zeros(canvas.grid, dtype=torch.bool, device=level.device)
    for prompt in areas:
        region = region | prompt_region(prompt, canvas, options.choice, level.device)
    region.flatten()[places[~is_positive]] = False
    rest = choose_cells(region[None], options.num_foreground - count, options.choice)
    has_extent = any(not isinstance(prompt, ScribblePrompt) for prompt in areas)
    refused = places[~is_positive][: options.num_background]  # a negative click is background as well
    around = choose_background_cells(region[None] & has_extent, options.num_background - len(refused), options.choice)
    around = torch.cat([around, refused[None]], dim=1)
    features = [gather_points(level, canvas.to_padded(points)), gather_cells(level[None], rest[None])[0, 0]]
    cells = torch.cat([torch.where(is_positive, places, mark_negative(places)), rest[0]])
    index = torch.tensor([frame_index], device=level.device)
    return ObjectTokens(
        VisualTokens(torch.cat(features)[None], cells[None], index, index, canvas.grid),
        VisualTokens(gather_cells(level[None], around[None])[0], around, index, index, canvas.grid),
    )


def _cells_of(points: Tensor, grid: tuple[int, int]) -> Tensor:
    """Give the cell that each point lies in, points in units of cells: [K, 2] -> int64 [K]."""
    column = points[:, 0].long().clamp(0, grid[1] - 1)
    row = points[:, 1].long().clamp(0, grid[0] - 1)
    return row * grid[1] + column
