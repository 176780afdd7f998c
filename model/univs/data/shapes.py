"""Videos of shapes that drift over a floor, drawn from a seed: a world so small that a network learns it in minutes.

Six categories, of which two are stuff; shapes hide each other and bounce off the edges. For tests and for ablations,
whose rows are to differ by the network and not by which data sets somebody has.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from univs.data.sample import Picture

THINGS = ("ball", "box", "cone", "plank")
STUFF = ("floor", "wall")
_COLOURS = ((230, 120, 30), (40, 80, 220), (50, 180, 60), (200, 50, 170), (120, 95, 70), (120, 140, 160))
_COLOUR_SPREAD = 25.0  # of an object about the colour of its category
_NOISE = 12.0  # of a pixel about the colour of its object
_MAX_STEP_PX = 3.0

_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Shape:
    category_id: int
    radius_px: float
    colour: _Floats  # [3]
    start_xy: _Floats  # [2]
    step_xy: _Floats  # [2], pixels a frame

    def centre(self, position: int, size: tuple[int, int]) -> tuple[float, float]:
        """Say where it is, bouncing off the edges."""
        low, span = self.radius_px, np.array([size[1], size[0]]) - 2 * self.radius_px
        way = (self.start_xy - low + position * self.step_xy) % (2 * span)
        x, y = low + np.where(way > span, 2 * span - way, way)
        return float(x), float(y)

    def covers(self, position: int, size: tuple[int, int]) -> _Mask:
        """Mark its pixels: [H, W]."""
        x, y = self.centre(position, size)
        rows, columns = np.indices(size)
        right, down = (columns - x) / self.radius_px, (rows - y) / self.radius_px
        match THINGS[self.category_id]:
            case "ball":
                return np.asarray(right**2 + down**2 <= 1)
            case "box":
                return np.asarray((abs(right) <= 0.85) & (abs(down) <= 0.85))
            case "cone":
                return np.asarray((abs(right) <= (down + 1) / 2) & (abs(down) <= 1))
            case _:
                return np.asarray((abs(right) <= 1) & (abs(down) <= 0.45))


class MovingShapes:
    """A source of videos; a seed and a place in the source name a video, whatever the number of videos."""

    def __init__(self, num_videos: int, num_frames: int, seed: int, size: tuple[int, int] = (64, 96)) -> None:
        self.name = f"shapes-{seed}"
        self.vocabulary: tuple[str, ...] = (*THINGS, *STUFF)
        self.is_exhaustive = True
        self._num_videos, self._num_frames = num_videos, num_frames
        self._seed, self._size = seed, size

    def __len__(self) -> int:
        return self._num_videos

    def num_frames(self, item_index: int, /) -> int:
        """Count the frames of a video."""
        assert 0 <= item_index < self._num_videos
        return self._num_frames

    def read(self, item_index: int, position: int, /) -> Picture:
        """Draw a frame: one or two shapes, the later one in front, then floor and wall."""
        rng = np.random.default_rng([self._seed, item_index])
        shapes = [self._shape(rng) for _ in range(int(rng.integers(1, 3)))]
        horizon = round(float(rng.uniform(0.35, 0.65)) * self._size[0])
        categories = (*(shape.category_id for shape in shapes), len(THINGS), len(THINGS) + 1)
        is_below = np.indices(self._size)[0] >= horizon
        masks = self._visible([shape.covers(position, self._size) for shape in shapes], is_below)
        colours = [*(shape.colour for shape in shapes), np.array(_COLOURS[-2]), np.array(_COLOURS[-1])]
        noise = np.random.default_rng([self._seed, item_index, position]).normal(0, _NOISE, (3, *self._size))
        image = sum(mask * colour[:, None, None] for mask, colour in zip(masks, colours, strict=True)) + noise
        return Picture(
            image=torch.from_numpy(np.clip(image, 0, 255).astype(np.uint8)),
            masks=torch.from_numpy(np.stack(masks)),
            category_ids=categories,
            texts=tuple(
                f"the {self.vocabulary[category]}" if categories.count(category) == 1 else "" for category in categories
            ),
        )

    def _shape(self, rng: np.random.Generator) -> _Shape:
        category_id = int(rng.integers(len(THINGS)))
        height, width = self._size
        return _Shape(
            category_id,
            radius_px=float(rng.uniform(0.16, 0.26)) * min(height, width),
            colour=np.array(_COLOURS[category_id]) + rng.uniform(-_COLOUR_SPREAD, _COLOUR_SPREAD, 3),
            start_xy=rng.uniform(0.2, 0.8, 2) * [width, height],
            step_xy=rng.uniform(-_MAX_STEP_PX, _MAX_STEP_PX, 2),
        )

    @staticmethod
    def _visible(shapes: list[_Mask], is_below: _Mask) -> list[_Mask]:
        """Let later shapes hide earlier ones, and all of them the ground."""
        is_free = np.ones_like(is_below)
        seen = []
        for mask in reversed(shapes):
            seen.append(mask & is_free)
            is_free = is_free & ~mask
        return [*reversed(seen), is_below & is_free, ~is_below & is_free]
