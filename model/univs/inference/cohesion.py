"""Which part of a mask is the object's body: pieces that lie apart from it are something else.

Beyond the paper. What looks like an object and touches it may join its mask; when the two part again, the piece would
be followed on its own. An object that the user showed in one piece is one body.
"""

import math

import torch
from scipy import ndimage  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional


def main_body(mask: Tensor, gap: float) -> Tensor | None:
    """Find the largest body of a mask, with the pieces that lie close to it.

    Args:
        mask: bool [h, w].
        gap: how far apart the pieces of one body may lie, as a share of the square root of the mask's area.
    Returns:
        Bool [h, w], which covers the pieces of the largest body and none of the others; None where all are one body.
    """
    area = int(mask.sum())
    if area == 0:
        return None
    radius = max(1, round(gap * math.sqrt(area) / 2))  # two pieces grow towards each other
    grown = functional.max_pool2d(mask[None, None].float(), 2 * radius + 1, stride=1, padding=radius)[0, 0] > 0
    bodies, num_bodies = ndimage.label(grown.cpu().numpy())
    if num_bodies < 2:
        return None
    body_of = torch.from_numpy(bodies).to(mask.device)
    areas = torch.bincount(body_of[mask], minlength=num_bodies + 1)
    return body_of == int(areas.argmax())
