"""Miniature data sets for tests: drawn in memory, or written in their official layouts."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from univs.data.sample import Picture


class MovingSquare:
    """A source of videos in which one bright square moves over noise, and one dark disk stands still."""

    def __init__(self, num_items: int = 3, num_frames: int = 12, name: str = "squares") -> None:
        self.name = name
        self.vocabulary: tuple[str, ...] = ("square", "disk")
        self.is_exhaustive = True
        self._num_items = num_items
        self._num_frames = num_frames

    def __len__(self) -> int:
        return self._num_items

    def num_frames(self, item_index: int, /) -> int:
        assert 0 <= item_index < self._num_items
        return self._num_frames

    def read(self, item_index: int, position: int, /) -> Picture:
        generator = torch.Generator().manual_seed(item_index)
        image = torch.randint(0, 120, (3, 96, 128), generator=generator, dtype=torch.uint8)
        masks = torch.zeros(2, 96, 128, dtype=torch.bool)
        left = 10 + 3 * position
        masks[0, 20:50, left : left + 30] = True
        rows, columns = torch.meshgrid(torch.arange(96), torch.arange(128), indexing="ij")
        masks[1] = (rows - 72) ** 2 + (columns - 30) ** 2 <= 15**2
        image[:, masks[0]] = torch.tensor([230, 60 + 50 * item_index, 40], dtype=torch.uint8)[:, None]
        image[:, masks[1]] = torch.tensor([20, 200, 220], dtype=torch.uint8)[:, None]
        return Picture(image, masks, (0, 1), ("the square", "the disk"))


def write_davis(root: Path, clip: str = "square", num_frames: int = 5) -> Path:
    """Write one clip in the layout of DAVIS 2016, in the split "test"."""
    source = MovingSquare()
    for folder in (
        root / "JPEGImages" / "480p" / clip,
        root / "Annotations" / "480p" / clip,
        root / "ImageSets",
    ):
        folder.mkdir(parents=True)
    for position in range(num_frames):
        picture = source.read(0, position)
        pixels = Image.fromarray(picture.image.permute(1, 2, 0).numpy())
        pixels.save(root / "JPEGImages" / "480p" / clip / f"{position:05d}.jpg", quality=95)
        mask = Image.fromarray(picture.masks[0].numpy().astype(np.uint8), mode=None).convert("P")
        mask.save(root / "Annotations" / "480p" / clip / f"{position:05d}.png")
    (root / "ImageSets" / "test.txt").write_text(f"{clip}\n", encoding="utf-8")
    (root / "expressions.json").write_text(
        json.dumps({"sequences": {clip: {"expression": "the orange square"}}}), encoding="utf-8"
    )
    return root
