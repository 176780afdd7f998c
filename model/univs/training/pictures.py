"""What the network draws while it learns, as pictures to look at."""

import torch
from torch import Tensor
from torch.nn import functional

from univs.data.sample import Batch
from univs.drawing import overlay, side_by_side
from univs.training.rollout import Rollout


@torch.no_grad()
def draw_rollout(batch: Batch, rollout: Rollout, num_clips: int = 4) -> Tensor:
    """Draw clips of a batch, frames side by side, the truth above the prediction: uint8 [3, rows, columns]."""
    answers = [rollout.first[-1], *rollout.later]
    logits = torch.cat([answer.mask_logits for answer in answers], dim=2).detach().float()
    bands = []
    for video in range(min(num_clips, len(batch.images))):
        size = (batch.images.shape[-2], batch.images.shape[-1])
        drawn = functional.interpolate(logits[video], size=size, mode="bilinear", align_corners=False) > 0
        drawn = drawn & ~batch.is_padding[video, :, None, None, None]
        for masks in (batch.masks[video], drawn):
            frames = [overlay(image, masks[:, position]) for position, image in enumerate(batch.images[video])]
            bands.append(side_by_side(frames))
    return torch.cat(bands, dim=1)
