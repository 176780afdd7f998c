"""What a prompt says before the network sees it: whether it lies in the frame, and which cells it covers."""

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor

from univs.errors import PromptError, PromptOutOfRangeError
from univs.prompt_encoder.regions import Canvas, prompt_region
from univs.prompt_encoder.sampling import CellChoice
from univs.types import BoxPrompt, MaskPrompt, PointPrompt, ScribblePrompt, VisualPrompt

_AREA_BELIEF = 0.5  # how much a cell inside a box is believed to be the object
_STROKE_BELIEF = 0.75  # how much a clicked or painted cell is


def check_prompt(prompt: VisualPrompt, frame_size: tuple[int, int]) -> None:
    """Refuse a prompt that is not inside its frame.

    Raises:
        PromptOutOfRangeError: for a negative frame index, or a place outside the frame.
        PromptError: for a prompt that says nothing: no point, no pixel, a box without area.
    """
    if prompt.frame_index < 0:
        raise PromptOutOfRangeError(f"expected a frame index of 0 or more, got {prompt.frame_index}")
    match prompt:
        case PointPrompt():
            if not prompt.points_xy or len(prompt.points_xy) != len(prompt.is_positive):
                raise PromptError(
                    f"expected at least one point and one sign for each, got {len(prompt.points_xy)} points "
                    f"and {len(prompt.is_positive)} signs"
                )
            _check_inside(prompt.points_xy, frame_size)
        case BoxPrompt():
            left, top, right, bottom = prompt.box_xyxy
            _check_inside(((left, top), (right, bottom)), frame_size)
            if not (left < right and top < bottom):
                raise PromptError(f"expected a box x0, y0, x1, y1 with x0 < x1 and y0 < y1, got {prompt.box_xyxy}")
        case MaskPrompt():
            if tuple(prompt.mask.shape) != frame_size:
                raise PromptOutOfRangeError(
                    f"expected a mask of the frame's size (height, width) {frame_size}, "
                    f"got {tuple(prompt.mask.shape)}; resize it to the frame"
                )
            if not bool(prompt.mask.any()):
                raise PromptError("expected a mask with at least one pixel set, got an empty one")
        case ScribblePrompt():
            if not prompt.points_xy:
                raise PromptError("expected a scribble with at least one point, got none")
            _check_inside(prompt.points_xy, frame_size)
        case _:
            assert_never(prompt)


def given_mask(prompts: Sequence[VisualPrompt]) -> Tensor | None:
    """Join the masks among prompts for one object: bool [H, W], or None when there is none."""
    masks = [prompt.mask for prompt in prompts if isinstance(prompt, MaskPrompt)]
    return torch.stack(masks).any(dim=0) if masks else None


def prompt_prior(prompts: Sequence[VisualPrompt], canvas: Canvas, device: torch.device) -> Tensor:
    """Say where prompts put an object, before the network has looked: float [h, w] in [0, 1] on the 1/8 map.

    A mask is certain, a stroke or click nearly, a box is half believed everywhere inside; cells of negative clicks are
    believed to be none of it.
    """
    prior = torch.zeros(canvas.grid, device=device)
    for prompt in prompts:
        match prompt:
            case PointPrompt():
                continue
            case MaskPrompt():
                belief = 1.0
            case BoxPrompt():
                belief = _AREA_BELIEF
            case ScribblePrompt():
                belief = _STROKE_BELIEF
            case _:
                assert_never(prompt)
        region = prompt_region(prompt, canvas, CellChoice.SPREAD, device)
        prior = torch.maximum(prior, belief * region.to(prior.dtype))
    for prompt in prompts:
        if isinstance(prompt, PointPrompt):
            cells = canvas.to_cells(torch.tensor(prompt.points_xy, dtype=torch.float64)).long()
            rows = cells[:, 1].clamp(0, canvas.grid[0] - 1)
            columns = cells[:, 0].clamp(0, canvas.grid[1] - 1)
            for row, column, is_positive in zip(rows, columns, prompt.is_positive, strict=True):
                prior[row, column] = _STROKE_BELIEF if is_positive else 0.0
    return prior


def _check_inside(points_xy: Sequence[tuple[float, float]], frame_size: tuple[int, int]) -> None:
    for x, y in points_xy:
        if not (0 <= x <= 1 and 0 <= y <= 1):
            height, width = frame_size
            raise PromptOutOfRangeError(
                f"expected a place inside the frame, 0..{width} x 0..{height} pixels, got "
                f"({x * width:.1f}, {y * height:.1f}); coordinates are pixels of the rotated frame, origin top left"
            )
