"""Pictures moved by a `Motion`: one resampling does flip, crop, scale, rotation and bending."""

import torch
from torch import Tensor
from torch.nn import functional

from univs.data.motion import Motion


def warp(layers: Tensor, motion: Motion, size: tuple[int, int], is_mirrored_outside: bool) -> Tensor:
    """Resample layers of a picture into the frames of a clip.

    Args:
        layers: float [C, H, W] (one picture for all frames) or [T, C, H, W] (one for each).
        motion: T frames.
        size: (height, width) of the frames.
        is_mirrored_outside: continue the picture by its mirror image; otherwise zeros lie outside.
    Returns:
        float [T, C, height, width].
    """
    num_frames = motion.num_frames
    if layers.ndim == 3:
        layers = layers[None].expand(num_frames, -1, -1, -1)
    return functional.grid_sample(
        layers,
        _grid(motion, size, (layers.shape[-2], layers.shape[-1])),
        mode="bilinear",
        padding_mode="reflection" if is_mirrored_outside else "zeros",
        align_corners=False,
    )


def _grid(motion: Motion, size: tuple[int, int], source_size: tuple[int, int]) -> Tensor:
    """Give the source position of every output pixel, as `grid_sample` takes it: [T, H, W, 2] in -1..1."""
    height, width = size
    y = torch.arange(height, dtype=torch.float32) + 0.5 - height / 2
    x = torch.arange(width, dtype=torch.float32) + 0.5 - width / 2
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=0)[None]  # [1, 2, height, width]
    if motion.bends is not None:
        places = places + _smooth(motion.bends, size)
    linear, offset = motion.matrices[:, :, :2], motion.matrices[:, :, 2]
    source = torch.einsum("tij,tjhw->tihw", linear, places.expand(motion.num_frames, -1, -1, -1))
    source = source + offset[:, :, None, None]
    extent = torch.tensor([source_size[1], source_size[0]], dtype=torch.float32)[None, :, None, None]
    return (2 * source / extent - 1).permute(0, 2, 3, 1)


def _smooth(coarse: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge a coarse field [T, 2, gh, gw] smoothly: cubic to an eighth of the size, linear from there."""
    eighth = (max(2, size[0] // 8), max(2, size[1] // 8))
    field = functional.interpolate(coarse, size=eighth, mode="bicubic", align_corners=True)
    return functional.interpolate(field, size=size, mode="bilinear", align_corners=True)
