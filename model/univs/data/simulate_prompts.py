"""What a user would have clicked, drawn or boxed, made up from the true mask of an object.

Shares of the kinds follow the paper's mix (point, box, mask); scribbles and corrections go beyond it.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from univs.types import BoxPrompt, MaskPrompt, PointPrompt, ScribblePrompt, VisualPrompt

_Kind = Literal["mask", "box", "point", "scribble"]


@dataclass(frozen=True, slots=True)
class PromptMix:
    """How often each kind of prompt is drawn; the shares need not add up to 1."""

    mask: float = 0.5
    box: float = 0.2
    point: float = 0.2
    scribble: float = 0.1
    negative_point_probability: float = 0.2  # a point prompt also says where the object is not
    rough_mask_probability: float = 0.3  # a mask prompt is grown or shrunk by a few pixels

    def draw(self, rng: np.random.Generator) -> _Kind:
        """Choose a kind."""
        kinds: tuple[_Kind, ...] = ("mask", "box", "point", "scribble")
        shares = np.array([self.mask, self.box, self.point, self.scribble])
        return kinds[int(rng.choice(4, p=shares / shares.sum()))]


def simulate_prompt(
    rng: np.random.Generator, mask: Tensor, object_id: int, frame_index: int, mix: PromptMix
) -> VisualPrompt:
    """Make up a prompt for the object with this mask, bool [H, W], not empty."""
    assert bool(mask.any()), "a prompt needs a visible object"
    match mix.draw(rng):
        case "mask":
            if rng.random() < mix.rough_mask_probability:
                mask = roughen(rng, mask)
            return MaskPrompt(object_id, frame_index, mask)
        case "box":
            return BoxPrompt(object_id, frame_index, simulate_box(rng, mask))
        case "point":
            points = [simulate_point(rng, mask)]
            has_negative = rng.random() < mix.negative_point_probability and not bool(mask.all())
            if has_negative:
                points.append(simulate_point(rng, _surroundings(mask)))
            return PointPrompt(object_id, frame_index, tuple(points), (True, False)[: len(points)])
        case "scribble":
            return ScribblePrompt(object_id, frame_index, simulate_scribble(rng, mask), width=_stroke_width(rng))


def simulate_point(rng: np.random.Generator, mask: Tensor) -> tuple[float, float]:
    """Draw a point inside a mask, away from its edge where it is thick enough; fractions of width, height."""
    height, width = mask.shape
    inside = torch.nonzero(_core(mask))
    row, column = inside[int(rng.integers(len(inside)))].tolist()
    return ((column + 0.5) / width, (row + 0.5) / height)


def simulate_box(rng: np.random.Generator, mask: Tensor, looseness: float = 0.1) -> tuple[float, float, float, float]:
    """Draw a box around a mask, x0 y0 x1 y1 in fractions; an edge is off by up to `looseness` of the extent."""
    height, width = mask.shape
    rows = torch.nonzero(mask.any(dim=1)).flatten()
    columns = torch.nonzero(mask.any(dim=0)).flatten()
    x0, x1 = int(columns[0]) / width, (int(columns[-1]) + 1) / width
    y0, y1 = int(rows[0]) / height, (int(rows[-1]) + 1) / height
    slack = rng.uniform(-looseness, looseness, size=4) * [x1 - x0, y1 - y0, x1 - x0, y1 - y0]
    box = np.clip(np.array([x0, y0, x1, y1]) + slack, 0, 1)
    return (float(box[0]), float(box[1]), float(box[2]), float(box[3]))


def simulate_scribble(rng: np.random.Generator, mask: Tensor) -> tuple[tuple[float, float], ...]:
    """Draw a stroke through two to five points of a mask, from one end of it to the other; fractions."""
    points = np.array([simulate_point(rng, mask) for _ in range(int(rng.integers(2, 6)))])
    spread = points - points.mean(axis=0)
    axis = np.linalg.svd(spread, full_matrices=False)[2][0]
    ordered = points[np.argsort(spread @ axis)]
    return tuple((float(x), float(y)) for x, y in ordered)


def simulate_correction(
    rng: np.random.Generator, predicted: Tensor, truth: Tensor, object_id: int, frame_index: int
) -> PointPrompt | None:
    """Click where a predicted mask is most wrong, bool [H, W] each; None where it is right.

    The larger of the two errors is chosen: a missed part gets a positive point, a surplus a negative one.
    """
    missed, surplus = truth & ~predicted, predicted & ~truth
    is_positive = int(missed.sum()) >= int(surplus.sum())
    wrong = missed if is_positive else surplus
    if not bool(wrong.any()):
        return None
    return PointPrompt(object_id, frame_index, (simulate_point(rng, wrong),), (is_positive,))


def roughen(rng: np.random.Generator, mask: Tensor) -> Tensor:
    """Grow or shrink a mask by up to a twentieth of its extent, as a quick hand would; never to nothing."""
    reach = max(1, round(0.05 * math.sqrt(int(mask.sum()))))
    radius = int(rng.integers(1, reach + 1))
    rough = _grow(mask, radius) if rng.random() < 0.5 else ~_grow(~mask, radius)
    return rough if bool(rough.any()) else mask


def _core(mask: Tensor) -> Tensor:
    """Shrink a mask by a tenth of its extent; the mask itself where nothing would be left."""
    radius = round(0.1 * math.sqrt(int(mask.sum())))
    if radius == 0:
        return mask
    core = ~_grow(~mask, radius)
    return core if bool(core.any()) else mask


def _surroundings(mask: Tensor) -> Tensor:
    """Mark what lies close around a mask; everything outside where nothing does."""
    radius = max(2, round(0.5 * math.sqrt(int(mask.sum()))))
    near = _grow(mask, radius) & ~_grow(mask, max(1, radius // 4))
    return near if bool(near.any()) else ~mask


def _grow(mask: Tensor, radius: int) -> Tensor:
    """Dilate bool [H, W] by a square of 2 * radius + 1 pixels, by running sums along columns and rows."""
    for axis in (0, 1):
        size = mask.shape[axis]
        sums = functional.pad(mask.transpose(0, axis).int().cumsum(dim=0), (0, 0, 1, 0))  # [size + 1, ...]
        place = torch.arange(size)
        mask = (sums[(place + radius + 1).clamp(max=size)] > sums[(place - radius).clamp(min=0)]).transpose(0, axis)
    return mask


def _stroke_width(rng: np.random.Generator) -> float:
    """Draw the width of a stroke, as a fraction of the frame's diagonal."""
    return float(rng.uniform(0.005, 0.02))
