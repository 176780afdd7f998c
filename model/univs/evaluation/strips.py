"""A clip at a glance: a few of its frames side by side, the answer above the truth."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from univs.drawing import overlay, side_by_side, to_array
from univs.evaluation.vos import Mask

_QUALITY = 85


class ClipStrip:
    """Collects frames of one clip, spread evenly from the first to the last."""

    def __init__(self, num_frames: int, num_shown: int = 5, height_px: int = 160) -> None:
        """Choose the frames.

        Args:
            num_frames: of the clip.
            num_shown: how many are drawn, at most.
            height_px: of each drawn frame.
        """
        last = max(1, min(num_shown, num_frames) - 1)
        self._positions = {round(index * (num_frames - 1) / last) for index in range(last + 1)}
        self._height_px = height_px
        self._answers: list[Tensor] = []
        self._truths: list[Tensor] = []

    def add(self, position: int, image: Tensor, answer: Mask, truth: Mask) -> None:
        """Take a frame uint8 [3, H, W] with two masks bool [H, W]; frames that are not shown are not kept."""
        if position not in self._positions:
            return
        for row, mask in ((self._answers, answer), (self._truths, truth)):
            row.append(self._shrink(overlay(image, torch.from_numpy(mask)[None])))

    def write(self, path: Path) -> None:
        """Write what was collected as a JPEG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = torch.cat([side_by_side(self._answers), side_by_side(self._truths)], dim=1)
        Image.fromarray(to_array(rows)).save(path, quality=_QUALITY)

    def _shrink(self, picture: Tensor) -> Tensor:
        width = round(picture.shape[2] * self._height_px / picture.shape[1])
        size = (self._height_px, width)
        resized = functional.interpolate(picture[None].float(), size=size, mode="bilinear", antialias=True)
        return resized[0].round().clamp(0, 255).to(torch.uint8)
