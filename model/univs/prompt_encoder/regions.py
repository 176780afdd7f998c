"""What a visual prompt covers on the stride-8 map: masks, boxes and scribbles as boolean cells."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from univs.prompt_encoder.sampling import CellChoice
from univs.types import BoxPrompt, MaskPrompt, ScribblePrompt


@dataclass(frozen=True, slots=True)
class Canvas:
    """The sizes, (height, width), that lie between a user's fractions and cells."""

    content_px: tuple[int, int]  # the frame as the network sees it, without padding
    padded_px: tuple[int, int]
    grid: tuple[int, int]  # cells of the stride-8 map

    def to_cells(self, points_xy: Tensor) -> Tensor:
        """Bring fractions of the frame to units of cells: [..., 2] -> [..., 2]."""
        return points_xy * self._cells_per_frame().to(points_xy)

    def to_padded(self, points_xy: Tensor) -> Tensor:
        """Bring fractions of the frame to fractions of the padded picture: [..., 2] -> [..., 2]."""
        rows, columns = self.grid
        return self.to_cells(points_xy) / points_xy.new_tensor([columns, rows])

    def _cells_per_frame(self) -> Tensor:
        columns = self.content_px[1] / self.padded_px[1] * self.grid[1]
        rows = self.content_px[0] / self.padded_px[0] * self.grid[0]
        return torch.tensor([columns, rows], dtype=torch.float64)


def mask_regions(masks: Tensor, grid: tuple[int, int], choice: CellChoice) -> Tensor:
    """Bring masks of the padded picture to cells.

    A cell belongs to the object when most of it is covered; an object too thin for that gets every cell it touches.
    `CellChoice.RASTER` takes the nearest pixel instead, against a threshold of min(0.5, largest value of all masks), as
    the published code does: a set of masks that all vanish selects the whole picture.

    Args:
        masks: bool or [0, 1] [N, H, W] at any multiple of the grid's size.
        grid: (h, w).
        choice: which rule.
    Returns:
        bool [N, h, w].
    """
    values = masks[None].to(torch.float32)
    if choice is CellChoice.RASTER:
        nearest = functional.interpolate(values, size=grid, mode="nearest")[0]
        return nearest >= nearest.max().clamp(max=0.5) if nearest.numel() else nearest.bool()
    covered = functional.adaptive_avg_pool2d(values, grid)[0]
    mostly = covered >= 0.5
    is_thin = ~mostly.flatten(1).any(dim=1)[:, None, None]
    return torch.where(is_thin, covered > 0, mostly)


def prompt_region(
    prompt: BoxPrompt | MaskPrompt | ScribblePrompt, canvas: Canvas, choice: CellChoice, device: torch.device
) -> Tensor:
    """Give the cells that a box, mask or scribble covers: bool [h, w]; never empty for a prompt inside the frame."""
    match prompt:
        case BoxPrompt():
            return _box_region(prompt, canvas, choice, device)
        case MaskPrompt():
            return _prompted_mask_region(prompt, canvas, choice, device)
        case ScribblePrompt():
            return _scribble_region(prompt, canvas, device)


def _box_region(prompt: BoxPrompt, canvas: Canvas, choice: CellChoice, device: torch.device) -> Tensor:
    corners = torch.tensor(prompt.box_xyxy, dtype=torch.float64, device=device).view(2, 2)
    (left, top), (right, bottom) = canvas.to_cells(corners).tolist()
    rows = torch.arange(canvas.grid[0], device=device)
    columns = torch.arange(canvas.grid[1], device=device)
    if choice is CellChoice.RASTER:  # published: the left and top edges are exclusive, right and bottom rounded up
        inside_x = (columns > int(left)) & (columns <= -int(-right // 1))
        inside_y = (rows > int(top)) & (rows <= -int(-bottom // 1))
        return inside_y[:, None] & inside_x[None, :]
    inside_x = _span(columns, left, right)
    inside_y = _span(rows, top, bottom)
    return inside_y[:, None] & inside_x[None, :]


def _span(cells: Tensor, low: float, high: float) -> Tensor:
    """Tell which cells have their centre in an interval, or else the one that holds its middle."""
    inside = (cells + 0.5 >= low) & (cells + 0.5 <= high)
    middle = min(int((low + high) / 2), len(cells) - 1)
    return inside | (~inside.any() & (cells == middle))


def _prompted_mask_region(prompt: MaskPrompt, canvas: Canvas, choice: CellChoice, device: torch.device) -> Tensor:
    mask = prompt.mask.to(device=device, dtype=torch.float32)[None, None]
    if tuple(mask.shape[-2:]) != canvas.content_px:
        is_exact = choice is CellChoice.RASTER
        mask = (
            functional.interpolate(mask, size=canvas.content_px, mode="nearest-exact")
            if is_exact
            else functional.adaptive_avg_pool2d(mask, canvas.content_px)
        )
    height, width = canvas.content_px
    padded = functional.pad(mask[0], (0, canvas.padded_px[1] - width, 0, canvas.padded_px[0] - height))
    return mask_regions(padded, canvas.grid, choice)[0]


def _scribble_region(prompt: ScribblePrompt, canvas: Canvas, device: torch.device) -> Tensor:
    """Mark cells whose centre is nearer to the polyline than half its width, at least half a cell."""
    points = canvas.to_cells(torch.tensor(prompt.points_xy, dtype=torch.float64, device=device))  # [K, 2]
    height, width = canvas.content_px
    diagonal_cells = (height**2 + width**2) ** 0.5 * canvas.grid[0] / canvas.padded_px[0]
    radius = max(0.5, prompt.width * diagonal_cells / 2)
    rows, columns = canvas.grid
    y = torch.arange(rows, device=device, dtype=torch.float64) + 0.5
    x = torch.arange(columns, device=device, dtype=torch.float64) + 0.5
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[:, :, None]  # [h, w, 1, 2]
    start = points[:-1] if len(points) > 1 else points
    step = points[1:] - start if len(points) > 1 else torch.zeros_like(points)
    along = ((centres - start) * step).sum(-1) / step.square().sum(-1).clamp(min=1e-12)
    nearest = start + along.clamp(0, 1)[..., None] * step  # [h, w, K - 1, 2]
    near_line: Tensor = ((centres - nearest).square().sum(-1) <= radius**2).any(dim=-1)
    return near_line | _cells_of(points, canvas.grid)


def _cells_of(points: Tensor, grid: tuple[int, int]) -> Tensor:
    """Mark the cells that points lie in, given in units of cells: [K, 2] -> bool [h, w]."""
    region = torch.zeros(grid, dtype=torch.bool, device=points.device)
    row = points[:, 1].long().clamp(0, grid[0] - 1)
    column = points[:, 0].long().clamp(0, grid[1] - 1)
    region[row, column] = True
    return region
