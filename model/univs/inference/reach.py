"""Where an object may be: in the box drawn around it, or not far from where it was a frame ago.

Beyond the paper. A memory of looks alone takes every car of a row for the one that was prompted, and remembers them.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from univs.prompt_encoder.regions import Canvas
from univs.types import BoxPrompt, PointPrompt, VisualPrompt

_SLACK = 0.1  # share of a box's sides by which a hasty hand draws it too small
_STEPS_PER_S = 24.0  # frame rate of the clips on which the reach was chosen
_IS_OBJECT = 0.25  # share of a cell that the object covered


def within_reach(prior: Tensor, size: tuple[int, int], reach: float, margin: int, seconds: float) -> Tensor | None:
    """Mark where an object may be, some time after it was seen.

    Args:
        prior: [h, w] in [0, 1], the share of each cell it covered when it was seen; zeros when that was not in the
            frame before.
        size: (H, W) of the answer, a multiple of (h, w).
        reach: how far it may move in 1/24 of a second, as a share of the square root of its area.
        margin: cells it may move beyond that.
        seconds: since it was seen; less than 1/24 counts as that.
    Returns:
        Bool [H, W]; None when it was not seen: then it may be anywhere.
    """
    covered = prior > _IS_OBJECT
    area = int(covered.sum())
    if area == 0:
        return None
    steps = min(max(1.0, seconds * _STEPS_PER_S), float(max(prior.shape)))
    radius = min(math.ceil(steps * reach * math.sqrt(area)) + math.ceil(steps * margin), max(prior.shape))
    grown = covered[None, None].to(torch.float32)
    for kernel in ((2 * radius + 1, 1), (1, 2 * radius + 1)):  # a square, side by side: two lines cost less
        grown = functional.max_pool2d(grown, kernel, stride=1, padding=(kernel[0] // 2, kernel[1] // 2))
    return functional.interpolate(grown, size=size, mode="nearest")[0, 0] > 0


def within_boxes(prompts: Sequence[VisualPrompt], canvas: Canvas, size: tuple[int, int]) -> Tensor | None:
    """Mark where an object may be in the frame in which boxes were drawn around it, with some slack.

    Args:
        prompts: all that was said of the object in this frame.
        canvas: sizes of the frame.
        size: (H, W) of the answer, on the padded picture.
    Returns:
        Bool [H, W]; None where nothing limits the object: no box, or a scribble or a positive click beside it that may
        point outside.
    """
    boxes = [prompt for prompt in prompts if isinstance(prompt, BoxPrompt)]
    others = [prompt for prompt in prompts if not isinstance(prompt, BoxPrompt)]
    if not boxes or any(not isinstance(prompt, PointPrompt) or any(prompt.is_positive) for prompt in others):
        return None
    near = torch.zeros(size, dtype=torch.bool)
    for box in boxes:
        left, top, right, bottom = box.box_xyxy
        slack_x, slack_y = _SLACK * (right - left), _SLACK * (bottom - top)
        corners = torch.tensor([[left - slack_x, top - slack_y], [right + slack_x, bottom + slack_y]])
        (x0, y0), (x1, y1) = (canvas.to_padded(corners) * torch.tensor([size[1], size[0]])).tolist()
        near[max(0, math.floor(y0)) : math.ceil(y1), max(0, math.floor(x0)) : math.ceil(x1)] = True
    return near
