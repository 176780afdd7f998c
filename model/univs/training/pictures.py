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
    logits = torch.cat([answer.mask_logits for answer in answers], dim=2)
    return draw_prompts(batch, batch.masks, logits, num_clips, ~batch.is_padding)


@torch.no_grad()
def draw_prompts(
    batch: Batch, masks: Tensor, mask_logits: Tensor, num_clips: int = 4, is_prompt: Tensor | None = None
) -> Tensor:
    """Draw clips of a batch, what prompts ask for above what was answered: uint8 [3, rows, columns].

    Args:
        batch: the clips. With windows that share frames, the first T frames of what is given are drawn.
        masks: bool [B, Q, T, H, W].
        mask_logits: [B, Q, T, h, w].
        num_clips: how many.
        is_prompt: bool [B, Q]; None where all are.
    """
    logits = mask_logits.detach().float()
    bands = []
    for video in range(min(num_clips, len(batch.images))):
        size = (batch.images.shape[-2], batch.images.shape[-1])
        drawn = functional.interpolate(logits[video], size=size, mode="bilinear", align_corners=False) > 0
        if is_prompt is not None:
            drawn = drawn & is_prompt[video, :, None, None, None]
        for rows in (masks[video], drawn):
            frames = [overlay(image, rows[:, position]) for position, image in enumerate(batch.images[video])]
            bands.append(side_by_side(frames))
    return torch.cat(bands, dim=1)
