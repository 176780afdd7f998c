"""Which of several names a pixel belongs to: cross-entropy over prompts, at points where the answer is least sure."""

import torch
from torch import Tensor
from torch.nn import functional

from univs.losses.points import PointSampling, sample_at, uncertain_points

_NO_NAME = -1


def semantic_loss(
    mask_logits: Tensor, masks: Tensor, sampling: PointSampling, generator: torch.Generator | None = None
) -> Tensor:
    """Compare the masks of the names of one video with each other, pixel by pixel.

    Most points lie where the two best names are closest. Points of no name, and of several, do not count.

    Args:
        mask_logits: [Q, T, h, w], one row for each name.
        masks: bool [Q, T, H, W], usually finer.
        sampling: how many points in each frame, and how chosen.
        generator: source of randomness, on the CPU or the device of the logits.
    Returns:
        The mean over points; zero, with a gradient of zero, where none counts.
    Source:
        SPEC 11.1, prompts by category text.
    """
    if mask_logits.shape[0] == 0:
        return mask_logits.sum() * 0
    frames = mask_logits.float().transpose(0, 1)  # [T, Q, h, w]
    with torch.no_grad():
        points_xy = uncertain_points(_margin(frames), sampling, generator)  # [T, P, 2]
        truth = _at(masks.transpose(0, 1).to(points_xy.dtype), points_xy) > 0.5  # [T, Q, P]
        labels = truth.to(torch.uint8).argmax(dim=1).masked_fill(truth.sum(dim=1) != 1, _NO_NAME)
    logits = _at(frames, points_xy)
    if not bool((labels != _NO_NAME).any()):
        return mask_logits.sum() * 0
    return functional.cross_entropy(logits, labels, ignore_index=_NO_NAME)


def _margin(frames: Tensor) -> Tensor:
    """Give by how much the best name of each cell leads: [T, Q, h, w] -> [T, h, w]."""
    if frames.shape[1] == 1:
        return frames[:, 0]
    best = frames.topk(2, dim=1).values
    return best[:, 0] - best[:, 1]


def _at(maps: Tensor, points_xy: Tensor) -> Tensor:
    """Read maps [T, Q, H, W] at the points of their frame: [T, Q, P]."""
    repeated = points_xy[:, None].expand(-1, maps.shape[1], -1, -1).flatten(0, 1)
    return sample_at(maps.flatten(0, 1), repeated).view(*maps.shape[:2], -1)
