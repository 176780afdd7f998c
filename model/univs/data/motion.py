"""Camera and object motion of made-up clips: affine maps that move one way over the clip."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class MotionRange:
    """How far a clip may move from its first to its last frame."""

    shift: float = 0.15  # fraction of the output's short side
    rotation_deg: float = 15.0
    zoom: float = 0.2  # relative change of scale
    shear: float = 0.05
    jitter: float = 0.01  # independent shake of each frame, fraction of the short side
    warp: float = 0.02  # growing elastic deformation, fraction of the frame


@dataclass(frozen=True, slots=True)
class Motion:
    """Where the pixels of each output frame come from."""

    matrices: Tensor  # float [T, 2, 3]: output pixel, relative to the frame's centre, -> source pixel
    bends: Tensor | None  # float [T, 2, gh, gw]: added displacement, in output pixels, on a coarse grid

    @property
    def num_frames(self) -> int:
        """T."""
        return int(self.matrices.shape[0])


@dataclass(frozen=True, slots=True)
class Framing:
    """What an output frame sees of its source."""

    centre_xy: tuple[float, float]  # source pixel in the middle of the frame
    pixels_per_pixel: float  # source pixels per output pixel; above 1 shrinks the source
    is_flipped: bool  # left and right mirrored
    short_side_px: int  # of the output frame


def random_motion(
    rng: np.random.Generator,
    frame_indices: Sequence[int],
    framing: Framing,
    limits: MotionRange,
) -> Motion:
    """Draw a motion that is monotone over the clip: shift, rotation, zoom and shear grow together, one way.

    Args:
        rng: source of randomness.
        frame_indices: T increasing indices: how the clip's frames lie in time.
        framing: what the frame sees halfway through the clip.
        limits: how far the clip may move.
    """
    num_frames = len(frame_indices)
    short_side_px = framing.short_side_px
    progress = _progress(rng, frame_indices)
    angle = math.radians(float(rng.uniform(-1, 1)) * limits.rotation_deg) * progress
    scale = framing.pixels_per_pixel * (1 + float(rng.uniform(-1, 1)) * limits.zoom * progress)
    shear = float(rng.uniform(-1, 1)) * limits.shear * progress
    reach_px = limits.shift * short_side_px * framing.pixels_per_pixel
    shift = rng.uniform(-1, 1, size=2) * reach_px * progress[:, None]
    shift = shift + rng.normal(size=(num_frames, 2)) * limits.jitter * short_side_px * framing.pixels_per_pixel

    mirror = -1.0 if framing.is_flipped else 1.0
    matrices = np.empty((num_frames, 2, 3))
    matrices[:, 0, 0] = scale * np.cos(angle) * mirror
    matrices[:, 0, 1] = scale * (shear - np.sin(angle))
    matrices[:, 1, 0] = scale * np.sin(angle) * mirror
    matrices[:, 1, 1] = scale * np.cos(angle)
    matrices[:, :, 2] = np.asarray(framing.centre_xy) + shift

    bends = None
    if limits.warp > 0:
        coarse = rng.normal(size=(1, 2, 5, 7)) * limits.warp * short_side_px * float(rng.random())
        bends = torch.from_numpy(coarse * progress[:, None, None, None]).float()
    return Motion(torch.from_numpy(matrices).float(), bends)


def _progress(rng: np.random.Generator, frame_indices: Sequence[int]) -> npt.NDArray[np.float64]:
    """Draw how far each frame has moved, [T]: increasing from -0.5 to 0.5.

    A step grows with the square root of the time it takes: things far apart in time have not moved off the
    frame, and neighbours differ by more than nothing.
    """
    if len(frame_indices) == 1:
        return np.zeros(1)
    steps = np.sqrt(np.diff(frame_indices)) * rng.uniform(0.5, 1.5, size=len(frame_indices) - 1)
    travelled = np.concatenate([np.zeros(1), np.cumsum(steps)])
    return np.asarray(travelled / travelled[-1] - 0.5)
