"""COCO's format for pictures: instances (polygons or run lengths in one JSON) and panoptic segments (PNG of ids).

Source: Lin et al., "Microsoft COCO", 2014; Kirillov et al., "Panoptic Segmentation", CVPR 2019; Gupta et al., "LVIS",
CVPR 2019.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from univs import rle
from univs.data.formats.categories import Categories, read_categories
from univs.data.formats.json_files import Json, first_existing, read_json, understanding
from univs.data.formats.segmentations import to_rle
from univs.data.images import read_ids, read_image
from univs.data.sample import Picture
from univs.errors import InputError


@dataclass(frozen=True, slots=True)
class CocoEntry:
    """A picture of the file."""

    image_id: int
    image_path: Path
    size: tuple[int, int]  # (height, width) in pixels
    annotations: tuple[Json, ...]


class CocoInstances:
    """Pictures with instances; crowds are left out.

    Attributes:
        annotation: the file.
        entries: the pictures, in the order of their ids.
        categories: of the file.
    """

    def __init__(
        self,
        name: str,
        annotation: Path,
        entries: tuple[CocoEntry, ...],
        categories: Categories,
        is_exhaustive: bool,
    ) -> None:
        self.name = name
        self.annotation = annotation
        self.entries = entries
        self.categories = categories
        self.vocabulary = categories.names
        self.is_exhaustive = is_exhaustive
        self._rows = categories.rows

    @property
    def image_ids(self) -> tuple[int, ...]:
        """Number the pictures as the file does."""
        return tuple(entry.image_id for entry in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def num_frames(self, _item_index: int, /) -> int:
        """Give 1: every item is a still."""
        return 1

    def read(self, item_index: int, _position: int, /) -> Picture:
        """Read a picture and its instances."""
        entry = self.entries[item_index]
        annotations = [annotation for annotation in entry.annotations if not annotation.get("iscrowd", 0)]
        masks = torch.zeros(len(annotations), *entry.size, dtype=torch.bool)
        for row, annotation in enumerate(annotations):
            encoded = to_rle(annotation["segmentation"], entry.size)
            if encoded is not None:
                masks[row] = torch.from_numpy(np.ascontiguousarray(rle.decode(encoded)))
        rows = tuple(self._rows[int(annotation["category_id"])] for annotation in annotations)
        return Picture(
            image=read_image(entry.image_path),
            masks=masks,
            category_ids=rows,
            texts=tuple(self.vocabulary[row] for row in rows),
        )

    def paths(self) -> Iterator[Path]:
        """Give every file that the annotation names."""
        for entry in self.entries:
            yield entry.image_path


class CocoPanoptic:
    """Pictures with things and stuff: `panoptic_SPLIT.json`, id pictures in `panoptic_SPLIT/`."""

    def __init__(self, root: Path, split: str) -> None:
        """Open a split, as `open_coco_instances`.

        Raises:
            InputError: where a part of the layout is missing or malformed.
        """
        self.name = f"coco-panoptic-{split}"
        annotation = _annotation(root, "panoptic", split)
        self.entries, self.categories = _read(annotation, _image_folder(root, split), ("file_name", "segments_info"))
        self.entries = tuple(entry for entry in self.entries if entry.annotations)
        self._segments = annotation.with_suffix("")
        self.vocabulary = self.categories.names
        self.is_exhaustive = True
        self._rows = self.categories.rows

    def __len__(self) -> int:
        return len(self.entries)

    def num_frames(self, _item_index: int, /) -> int:
        """Give 1: every item is a still."""
        return 1

    @property
    def image_ids(self) -> tuple[int, ...]:
        """Number the pictures as the file does."""
        return tuple(entry.image_id for entry in self.entries)

    def map_name(self, item_index: int) -> str:
        """Name the picture of ids."""
        return str(self.entries[item_index].annotations[0]["file_name"])

    def map_path(self, item_index: int) -> Path:
        """Say where the ids of a picture lie."""
        return self._segments / self.map_name(item_index)

    def read(self, item_index: int, _position: int, /) -> Picture:
        """Read a picture, its things and its stuff."""
        entry = self.entries[item_index]
        ids = torch.from_numpy(read_ids(self.map_path(item_index)))
        segments = [each for each in entry.annotations[0]["segments_info"] if not each.get("iscrowd", 0)]
        rows = tuple(self._rows[int(segment["category_id"])] for segment in segments)
        masks = [ids == int(segment["id"]) for segment in segments]
        return Picture(
            image=read_image(entry.image_path),
            masks=torch.stack(masks) if masks else torch.zeros(0, *ids.shape, dtype=torch.bool),
            category_ids=rows,
            texts=tuple(self.vocabulary[row] for row in rows),
        )

    def paths(self) -> Iterator[Path]:
        """Give every file that the annotation names."""
        for item_index, entry in enumerate(self.entries):
            yield from (entry.image_path, self.map_path(item_index))


def open_coco_instances(root: Path, split: str, *, keeps_empty: bool = False) -> CocoInstances:
    """Open `annotations/instances_SPLIT.json` with pictures in `SPLIT/`.

    A split is named in full ("train2017") or without its year ("train"); the annotation may lie in `root` itself, and
    the pictures in `images/`.

    Args:
        root: folder of the data set.
        split: which pictures.
        keeps_empty: keep pictures without annotation, as evaluation needs them.
    Raises:
        InputError: where a part of the layout is missing or malformed.
    """
    annotation = _annotation(root, "instances", split)
    entries, categories = _read(annotation, _image_folder(root, split), ("category_id",))
    if not keeps_empty:
        entries = tuple(entry for entry in entries if entry.annotations)
    return CocoInstances(f"coco-instances-{split}", annotation, entries, categories, is_exhaustive=True)


def open_lvis(root: Path, split: str, *, keeps_empty: bool = False) -> CocoInstances:
    """Open LVIS: `lvis_v1_SPLIT.json`, the pictures of COCO 2017 beside it, in `images/`, or in `../coco/`.

    What is not annotated may be there all the same: each picture is annotated for some classes only.

    Args:
        root: folder of the annotation, or the one it lies in as `annotations/`.
        split: "train" or "val".
        keeps_empty: keep pictures without annotation.
    Raises:
        InputError: where a part of the layout is missing or malformed.
    """
    name = f"lvis_v1_{split}.json"
    annotation = first_existing((root / name, root / "annotations" / name))
    places = (root, root / "images", root.parent / "coco")
    folders = (place for place in places if (place / "train2017").is_dir() or (place / "val2017").is_dir())
    entries, categories = _read(annotation, next(folders, root), ("category_id",))
    if not keeps_empty:
        entries = tuple(entry for entry in entries if entry.annotations)
    return CocoInstances(f"lvis-{split}", annotation, entries, categories, is_exhaustive=False)


def _read(annotation: Path, images: Path, keys: tuple[str, ...]) -> tuple[tuple[CocoEntry, ...], Categories]:
    """Read pictures and annotations, each of which has `keys`."""
    content = read_json(annotation, ("images", "annotations", "categories"))
    with understanding(annotation):
        by_image: dict[int, list[Json]] = defaultdict(list)
        for each in content["annotations"]:
            if any(key not in each for key in keys):
                raise InputError(f"expected {', '.join(keys)} in each annotation of {annotation}, got {sorted(each)}")
            by_image[int(each["image_id"])].append(each)
        entries = tuple(
            CocoEntry(
                int(image["id"]),
                images / _file_name(image),
                (int(image["height"]), int(image["width"])),
                tuple(by_image[int(image["id"])]),
            )
            for image in sorted(content["images"], key=lambda image: int(image["id"]))
        )
        return entries, read_categories(content)


def _file_name(image: Json) -> str:
    """Give the file of a picture; LVIS names it by its address, whose end is FOLDER/NAME."""
    if "file_name" in image:
        return str(image["file_name"])
    return "/".join(str(image["coco_url"]).split("/")[-2:])


def _annotation(root: Path, kind: str, split: str) -> Path:
    names = (f"{kind}_{split}.json", f"{kind}_{split}2017.json")
    return first_existing(tuple(folder / name for name in names for folder in (root / "annotations", root)))


def _image_folder(root: Path, split: str) -> Path:
    """Find the pictures; where there are none, `SPLIT/` is where they are missed."""
    folders = (root / split, root / f"{split}2017", root / "images" / f"{split}2017", root / "images")
    return next((folder for folder in folders if folder.is_dir()), folders[0])
