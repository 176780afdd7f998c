"""COCO: instances (polygons or run lengths in one JSON) and panoptic segments (one PNG of ids a picture)."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hotcoco import mask as coco_mask
from PIL import Image
from torch import Tensor

from univs.data.images import read_image
from univs.data.sample import Picture
from univs.errors import InputError

# The JSON of COCO is a tree of lists and mappings whose leaves vary with the kind of annotation.
_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Entry:
    file_name: str
    height: int
    width: int
    annotations: tuple[_Json, ...]


class _CocoFile:
    """What instances and panoptic files share: categories, pictures, and annotations by picture."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"COCO needs {path}")
        content: _Json = json.loads(path.read_text(encoding="utf-8"))
        categories = sorted(content["categories"], key=lambda category: int(category["id"]))
        self.vocabulary = tuple(str(category["name"]) for category in categories)
        self.row_of_category = {int(category["id"]): row for row, category in enumerate(categories)}
        by_image: dict[int, list[_Json]] = defaultdict(list)
        for annotation in content["annotations"]:
            by_image[int(annotation["image_id"])].append(annotation)
        self.entries = tuple(
            _Entry(image["file_name"], image["height"], image["width"], tuple(by_image[image["id"]]))
            for image in sorted(content["images"], key=lambda image: int(image["id"]))
            if by_image[image["id"]]
        )


class CocoInstances:
    """Read `instances_SPLIT.json` with pictures in `images/`; crowds are left out."""

    def __init__(self, root: Path, split: str) -> None:
        self.name = f"coco-instances-{split}"
        self._file = _CocoFile(root / f"instances_{split}.json")
        self._images = root / "images"
        self.vocabulary = self._file.vocabulary
        self.is_exhaustive = True

    def __len__(self) -> int:
        return len(self._file.entries)

    def num_frames(self, _item_index: int, /) -> int:
        """Give 1: every item is a still."""
        return 1

    def read(self, item_index: int, _position: int, /) -> Picture:
        """Read a picture and its instances."""
        entry = self._file.entries[item_index]
        annotations = [annotation for annotation in entry.annotations if not annotation["iscrowd"]]
        masks = [_decode(annotation["segmentation"], entry.height, entry.width) for annotation in annotations]
        rows = tuple(self._file.row_of_category[int(annotation["category_id"])] for annotation in annotations)
        return Picture(
            image=read_image(self._images / entry.file_name),
            masks=torch.stack(masks) if masks else torch.zeros(0, entry.height, entry.width, dtype=torch.bool),
            category_ids=rows,
            texts=tuple(self.vocabulary[row] for row in rows),
        )


class CocoPanoptic:
    """Read `panoptic_SPLIT.json` with id pictures in `panoptic_SPLIT/` and pictures in `images/`."""

    def __init__(self, root: Path, split: str) -> None:
        self.name = f"coco-panoptic-{split}"
        self._file = _CocoFile(root / f"panoptic_{split}.json")
        self._images = root / "images"
        self._segments = root / f"panoptic_{split}"
        self.vocabulary = self._file.vocabulary
        self.is_exhaustive = True

    def __len__(self) -> int:
        return len(self._file.entries)

    def num_frames(self, _item_index: int, /) -> int:
        """Give 1: every item is a still."""
        return 1

    def read(self, item_index: int, _position: int, /) -> Picture:
        """Read a picture, its things and its stuff."""
        entry = self._file.entries[item_index]
        annotation = entry.annotations[0]
        with Image.open(self._segments / str(annotation["file_name"])) as image:
            colours = np.array(image.convert("RGB")).astype(np.int64)
        ids = torch.from_numpy(colours @ np.array([1, 256, 256 * 256]))
        segments = [segment for segment in annotation["segments_info"] if not segment["iscrowd"]]
        rows = tuple(self._file.row_of_category[int(segment["category_id"])] for segment in segments)
        masks = [ids == int(segment["id"]) for segment in segments]
        return Picture(
            image=read_image(self._images / entry.file_name),
            masks=torch.stack(masks) if masks else torch.zeros(0, *ids.shape, dtype=torch.bool),
            category_ids=rows,
            texts=tuple(self.vocabulary[row] for row in rows),
        )


def _decode(segmentation: Any, height: int, width: int) -> Tensor:
    """Draw polygons or decode run lengths: bool [H, W]."""
    if isinstance(segmentation, list):
        encoded = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        encoded = coco_mask.frPyObjects(segmentation, height, width)
    else:
        encoded = segmentation
    return torch.from_numpy(coco_mask.decode(encoded).astype(bool))
