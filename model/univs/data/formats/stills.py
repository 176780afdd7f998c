"""Data sets of single pictures with one picture of labels each: ECSSD, Clothing Co-Parsing."""

import json
from pathlib import Path

import torch

from univs.data.images import read_image, read_labels
from univs.data.sample import UNKNOWN_CATEGORY, Picture
from univs.errors import InputError

_MIN_LABEL_AREA = 0.004  # fraction of the picture: smaller labels are earrings and noise


class Ecssd:
    """Read ECSSD (Shi et al., 2016): one salient object a picture, `images/N.jpg`, `masks/N.png`."""

    def __init__(self, root: Path) -> None:
        self.name = "ecssd"
        self.vocabulary: tuple[str, ...] = ()
        self.is_exhaustive = False
        self._paths = _paired_files(root)

    def __len__(self) -> int:
        return len(self._paths)

    def num_frames(self, _item_index: int, /) -> int:
        """Give 1: every item is a still."""
        return 1

    def read(self, item_index: int, _position: int, /) -> Picture:
        """Read a picture and its salient object."""
        image_path, mask_path = self._paths[item_index]
        return Picture(
            image=read_image(image_path),
            masks=read_labels(mask_path)[None] > 0,
            category_ids=(UNKNOWN_CATEGORY,),
            texts=("",),
        )


class Clothing:
    """Read Clothing Co-Parsing (Yang et al., 2014): garments and body parts of one person a picture.

    Objects are the labels that cover enough of the picture, and after them the whole person.
    """

    def __init__(self, root: Path) -> None:
        self.name = "clothing"
        labels_path = root / "labels.json"
        if not labels_path.is_file():
            raise InputError(f"Clothing Co-Parsing needs {labels_path}")
        names = json.loads(labels_path.read_text(encoding="utf-8"))
        self.vocabulary: tuple[str, ...] = (
            *(names[str(label)] for label in range(1, len(names))),
            "person",
        )
        self.is_exhaustive = False
        self._paths = _paired_files(root)

    def __len__(self) -> int:
        return len(self._paths)

    def num_frames(self, _item_index: int, /) -> int:
        """Give 1: every item is a still."""
        return 1

    def read(self, item_index: int, _position: int, /) -> Picture:
        """Read a picture, its garments and its person."""
        image_path, mask_path = self._paths[item_index]
        labels = read_labels(mask_path)
        areas = torch.bincount(labels.flatten().long(), minlength=len(self.vocabulary))
        kept = [label for label in range(1, len(areas)) if areas[label] >= _MIN_LABEL_AREA * labels.numel()]
        masks = torch.stack([*(labels == label for label in kept), labels > 0])
        category_ids = (*(label - 1 for label in kept), len(self.vocabulary) - 1)
        return Picture(
            image=read_image(image_path),
            masks=masks,
            category_ids=category_ids,
            texts=tuple(self.vocabulary[category] for category in category_ids),
        )


def _paired_files(root: Path) -> tuple[tuple[Path, Path], ...]:
    """Pair `images/N.jpg` with `masks/N.png`."""
    image_paths = sorted((root / "images").glob("*.jpg"))
    pairs = tuple((path, root / "masks" / f"{path.stem}.png") for path in image_paths)
    missing = [mask_path for _, mask_path in pairs if not mask_path.is_file()]
    if not pairs or missing:
        raise InputError(
            f"expected images/N.jpg and masks/N.png under {root}; missing: {missing[:3] or 'all pictures'}"
        )
    return pairs
