"""Where the pictures of a clip lie in the frames of a stage: large-scale jitter in a square, or a short side.

One scale, one mirror image and one centre of rotation hold for a clip, so that the frames stay one video.

Source: UniVS, supplement; SPEC 11.2 and 11.3.
"""

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from univs.data.motion import Motion

_STRIDE = 32


@dataclass(frozen=True, slots=True)
class SquareJitter:
    """Large-scale jitter: the picture is resized to fit a square times a scale, then cropped or padded to the square.

    Attributes:
        side_px: of the square, a multiple of 32.
        scale: the least and the largest (paper: 0.5 to 4; released: 0.25 to 4).
        crop_jitter: how far the crop of a frame may lie from that of its clip, as a fraction of the square.
    """

    side_px: int = 1024
    scale: tuple[float, float] = (0.5, 4.0)
    crop_jitter: float = 0.1

    def __post_init__(self) -> None:
        if self.side_px % _STRIDE or not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(
                f"side_px must be a multiple of {_STRIDE} and scale positive and rising, got {self.side_px} and "
                f"{self.scale}"
            )


@dataclass(frozen=True, slots=True)
class ShortSide:
    """The picture is resized to one of some short sides, and padded right and bottom to a multiple of 32."""

    short_sides_px: tuple[int, ...] = tuple(range(512, 801, 32))
    longest_px: int = 1024


Fit: TypeAlias = SquareJitter | ShortSide


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture of one size lies in the T frames of a clip."""

    picture_px: tuple[int, int]  # (height, width) of the picture once it is resized
    frame_px: tuple[int, int]  # (height, width) of the frames
    corners_xy: npt.NDArray[np.float64]  # [T, 2]: the frame's top left corner, in pixels of the resized picture
    angles_rad: npt.NDArray[np.float64]  # [T]
    centre_xy: tuple[float, float]  # of the rotation, in pixels of the resized picture
    is_flipped: bool

    def motion(self, source_px: tuple[int, int]) -> Motion:
        """Say where the pixels of each frame come from, in a source that is the picture at any size."""
        cos, sin = np.cos(self.angles_rad), np.sin(self.angles_rad)
        mirror = -1.0 if self.is_flipped else 1.0
        linear = np.stack([np.stack([cos * mirror, -sin], axis=-1), np.stack([sin * mirror, cos], axis=-1)], axis=1)
        middle = self.corners_xy + np.array([self.frame_px[1], self.frame_px[0]]) / 2  # [T, 2]
        if self.is_flipped:
            middle = np.stack([self.picture_px[1] - middle[:, 0], middle[:, 1]], axis=1)
        rotation = np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=1)
        offset = np.asarray(self.centre_xy) + np.einsum("tij,tj->ti", rotation, middle - np.asarray(self.centre_xy))
        per_pixel = np.array([source_px[1] / self.picture_px[1], source_px[0] / self.picture_px[0]])
        matrices = np.concatenate([linear * per_pixel[:, None], (offset * per_pixel)[..., None]], axis=2)
        return Motion(torch.from_numpy(matrices).float(), None)


def place(
    rng: np.random.Generator, size_px: tuple[int, int], num_frames: int, fit: Fit, rotation_deg: float
) -> Placement:
    """Draw where a picture of a size, (height, width), lies in the frames of a clip.

    Angles are drawn for each frame and sorted, one way or the other, so that a clip turns one way.
    """
    is_flipped = bool(rng.random() < 0.5)
    angles = np.sort(rng.uniform(-1, 1, size=num_frames)) * math.radians(rotation_deg)
    if rng.random() < 0.5:
        angles = angles[::-1].copy()
    match fit:
        case SquareJitter():
            placement = _in_square(rng, size_px, num_frames, fit)
        case ShortSide():
            placement = _by_short_side(rng, size_px, num_frames, fit)
    height, width = placement.picture_px
    centre = rng.uniform(0.4, 0.6, size=2) * [width, height]
    return replace(
        placement,
        angles_rad=angles,
        centre_xy=(float(centre[0]), float(centre[1])),
        is_flipped=is_flipped,
    )


def _in_square(rng: np.random.Generator, size_px: tuple[int, int], num_frames: int, fit: SquareJitter) -> Placement:
    scale = float(rng.uniform(*fit.scale))
    factor = min(fit.side_px * scale / side for side in size_px)
    picture = (max(1, round(size_px[0] * factor)), max(1, round(size_px[1] * factor)))
    room = np.maximum(0, np.array([picture[1], picture[0]]) - fit.side_px)
    shake = rng.uniform(-1, 1, size=(num_frames, 2)) * fit.crop_jitter * fit.side_px
    if num_frames == 1:
        shake *= 0
    corners = np.clip(rng.random(2) * room + shake, 0, room)
    return Placement(picture, (fit.side_px, fit.side_px), corners, np.zeros(num_frames), (0.0, 0.0), False)


def _by_short_side(rng: np.random.Generator, size_px: tuple[int, int], num_frames: int, fit: ShortSide) -> Placement:
    short = fit.short_sides_px[int(rng.integers(len(fit.short_sides_px)))]
    factor = min(short / min(size_px), fit.longest_px / max(size_px))
    picture = (max(1, round(size_px[0] * factor)), max(1, round(size_px[1] * factor)))
    frame = (-(-picture[0] // _STRIDE) * _STRIDE, -(-picture[1] // _STRIDE) * _STRIDE)
    return Placement(picture, frame, np.zeros((num_frames, 2)), np.zeros(num_frames), (0.0, 0.0), False)
