"""What the network draws while it learns, as pictures to look at."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from univs.data.sample import Batch
from univs.training.rollout import Rollout

_COLOURS = ((230, 60, 50), (60, 180, 75), (40, 110, 230), (245, 190, 40), (150, 60, 200), (0, 190, 190))
_STRENGTH = 0.5


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
            bands.append(torch.cat(frames, dim=2))
    return torch.cat(bands, dim=1)


def overlay(image: Tensor, masks: Tensor) -> Tensor:
    """Tint the masks bool [O, H, W] of objects on a picture uint8 [3, H, W], each in its own colour."""
    tinted = image.detach().cpu().float()
    for row, mask in enumerate(masks.cpu()):
        colour = torch.tensor(_COLOURS[row % len(_COLOURS)], dtype=torch.float32)[:, None, None]
        tinted = torch.where(mask, tinted * (1 - _STRENGTH) + colour * _STRENGTH, tinted)
    return tinted.to(torch.uint8)


def to_array(picture: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Give a picture uint8 [3, H, W] as an array [H, W, 3]."""
    return np.asarray(picture.permute(1, 2, 0).numpy(), dtype=np.uint8)
