"""Changes of light and colour, steady over a clip with a small flicker between frames."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class LightRange:
    """How much light and colour may change; 0 everywhere leaves pictures as they are."""

    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.3
    tint: float = 0.08
    flicker: float = 0.05
    grey_probability: float = 0.03
    blur_probability: float = 0.15


def relight(rng: np.random.Generator, images: Tensor, limits: LightRange) -> Tensor:
    """Change the light of a clip, float [T, 3, H, W] in 0..255: gains drawn once, flickering per frame."""
    num_frames = images.shape[0]
    flicker = 1 + rng.normal(size=(num_frames, 1, 1, 1)) * limits.flicker
    tint = 1 + rng.uniform(-1, 1, size=(1, 3, 1, 1)) * limits.tint
    gain = (1 + rng.uniform(-1, 1) * limits.brightness) * flicker * tint
    contrast = 1 + float(rng.uniform(-1, 1)) * limits.contrast
    saturation = 1 + float(rng.uniform(-1, 1)) * limits.saturation
    if rng.random() < limits.grey_probability:
        saturation = 0.0

    images = images * torch.from_numpy(gain).float()
    grey = images.mean(dim=1, keepdim=True)
    images = torch.lerp(grey.expand_as(images), images, saturation)
    images = torch.lerp(grey.mean(dim=(2, 3), keepdim=True).expand_as(images), images, contrast)
    if rng.random() < limits.blur_probability:
        images = _blur(images, num_passes=int(rng.integers(1, 3)), is_motion=bool(rng.random() < 0.5))
    return images.clamp_(0, 255)


def _blur(images: Tensor, num_passes: int, is_motion: bool) -> Tensor:
    """Blur by box filters: square for a lens out of focus, a row for a camera that pans."""
    kernel, padding = ((1, 5), (0, 2)) if is_motion else ((3, 3), (1, 1))
    for _ in range(num_passes):
        images = functional.avg_pool2d(images, kernel, stride=1, padding=padding, count_include_pad=False)
    return images
