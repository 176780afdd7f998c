"""SA-1B: pictures whose regions are masks without a class, a JSON beside each picture.

Source: Kirillov et al., "Segment Anything", ICCV 2023.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from univs import rle
from univs.data.formats.json_files import read_json, understanding
from univs.data.formats.segmentations import to_rle
from univs.data.images import read_image
from univs.data.sample import UNKNOWN_CATEGORY, Picture
from univs.errors import InputError

_NUMBER = re.compile(r"\d+")


class Sa1b:
    """Read `sa_N.jpg` and `sa_N.json`, all in one folder or in one folder for each archive."""

    def __init__(self, root: Path, split: str) -> None:
        """List the pictures; the data set has the split "train" alone, any part of its archives.

        Raises:
            InputError: for another split, or where there is no annotation.
        """
        if split != "train":
            raise InputError(f"expected the split 'train', the only one of SA-1B, got {split!r}")
        found = [*root.glob("sa_*.json"), *root.glob("*/sa_*.json")]
        if not found:
            raise InputError(
                f"expected sa_N.json beside sa_N.jpg in {root} or in folders of it, got none; unpack an archive there"
            )
        self.name = f"sa1b-{split}"
        self.annotation_paths = tuple(sorted(found, key=lambda path: (int(_NUMBER.findall(path.stem)[0]), path)))
        self.vocabulary: tuple[str, ...] = ()
        self.is_exhaustive = False

    def __len__(self) -> int:
        return len(self.annotation_paths)

    def num_frames(self, _item_index: int, /) -> int:
        """Give 1: every item is a still."""
        return 1

    def read(self, item_index: int, _position: int, /) -> Picture:
        """Read a picture and its regions, which may lie in each other."""
        path = self.annotation_paths[item_index]
        content = read_json(path, ("image", "annotations"))
        image = read_image(path.with_suffix(".jpg"))
        with understanding(path):
            size = (int(content["image"]["height"]), int(content["image"]["width"]))
            found = [
                mask for each in content["annotations"] if (mask := to_rle(each["segmentation"], size)) is not None
            ]
        if size != tuple(image.shape[-2:]):
            raise InputError(
                f"expected {path.with_suffix('.jpg')} to have {size} pixels, got {tuple(image.shape[-2:])}"
            )
        masks = torch.zeros(len(found), *size, dtype=torch.bool)
        for row, mask in enumerate(found):
            masks[row] = torch.from_numpy(np.ascontiguousarray(rle.decode(mask)))
        return Picture(image, masks, (UNKNOWN_CATEGORY,) * len(found), ("",) * len(found))

    def paths(self) -> Iterator[Path]:
        """Give every file of the data set."""
        for path in self.annotation_paths:
            yield from (path, path.with_suffix(".jpg"))
