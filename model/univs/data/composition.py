"""Objects of other pictures pasted into a clip: they move on their own, and hide what lies behind them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from univs.data.motion import Framing, MotionRange, random_motion
from univs.data.sample import Picture
from univs.data.warp import warp

PASTED_MOTION = MotionRange(shift=0.5, rotation_deg=25.0, zoom=0.3, shear=0.1, jitter=0.01, warp=0.03)


@dataclass(frozen=True, slots=True)
class Scene:
    """A clip in the making."""

    images: Tensor  # float [T, 3, H, W] in 0..255
    masks: Tensor  # bool [O, T, H, W]
    category_ids: tuple[int, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PastedObject:
    """One object of a picture, and its category in the vocabulary of the scene."""

    picture: Picture
    row: int
    category_id: int


@dataclass(frozen=True, slots=True)
class PasteConfig:
    """How many objects are pasted, how large, and how far they move."""

    probability: float = 0.5
    max_objects: int = 2
    min_extent: float = 0.15  # of the frame's short side
    max_extent: float = 0.7
    motion: MotionRange = PASTED_MOTION


def paste(
    rng: np.random.Generator, scene: Scene, item: PastedObject, frame_indices: Sequence[int], config: PasteConfig
) -> Scene:
    """Put an object of another picture in front of a scene; it becomes the scene's last object."""
    layers = _cut_out(item.picture, item.row)  # [4, h, w]
    height, width = scene.images.shape[-2:]
    extent_px = float(rng.uniform(config.min_extent, config.max_extent)) * min(height, width)
    pixels_per_pixel = max(layers.shape[-2:]) / extent_px
    # The middle of the frame sees the cut-out's centre, moved by where the object is to stand.
    place = rng.uniform(-0.5, 0.5, size=2) * [width, height] * pixels_per_pixel
    is_flipped = bool(rng.random() < 0.5)
    motion = random_motion(
        rng,
        frame_indices,
        Framing(
            centre_xy=(layers.shape[-1] / 2 - float(place[0]), layers.shape[-2] / 2 - float(place[1])),
            pixels_per_pixel=pixels_per_pixel,
            is_flipped=is_flipped,
            short_side_px=min(height, width),
        ),
        config.motion,
    )
    moved = warp(layers, motion, (height, width), is_mirrored_outside=False)  # [T, 4, H, W]
    alpha = moved[:, 3:]
    in_front = (alpha[:, 0] > 0.5)[None]  # [1, T, H, W]
    # Colours outside of the cut-out are zero, blended in by the same weights as alpha.
    return Scene(
        images=scene.images * (1 - alpha) + moved[:, :3],
        masks=torch.cat([scene.masks & ~in_front, in_front]),
        category_ids=(*scene.category_ids, item.category_id),
        texts=(*scene.texts, item.picture.texts[item.row]),
    )


def _cut_out(picture: Picture, row: int) -> Tensor:
    """Cut one object out of its picture: float [4, h, w], colours times coverage, then coverage."""
    mask = picture.masks[row]
    rows = torch.nonzero(mask.any(dim=1)).flatten()
    columns = torch.nonzero(mask.any(dim=0)).flatten()
    window = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    coverage = mask[window].float()[None]
    return torch.cat([picture.image[:, *window].float() * coverage, coverage])
