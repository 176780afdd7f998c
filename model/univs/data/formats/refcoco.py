"""RefCOCO, RefCOCO+ and RefCOCOg: expressions that name objects in pictures of COCO 2014.

Source: Yu et al., "Modeling Context in Referring Expressions", ECCV 2016; Mao et al., "Generation and Comprehension of
Unambiguous Object Descriptions", CVPR 2016.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from univs import rle
from univs.data.formats.categories import read_categories
from univs.data.formats.json_files import Json, first_existing, read_json, understanding
from univs.data.formats.plain_pickle import read_plain_pickle
from univs.data.formats.segmentations import to_rle
from univs.data.images import read_image
from univs.data.sample import Picture
from univs.errors import InputError

_REFERENCES = ("refs(unc).p", "refs(umd).p", "refs(google).p")  # by whom the split was made; the usual one first


@dataclass(frozen=True, slots=True)
class ReferredObject:
    """An object of a picture, and what people called it."""

    category_id: int  # row of the vocabulary
    segmentation: Json | list[list[float]]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReferredPicture:
    """A picture whose objects were named."""

    image_id: int
    image_path: Path
    size: tuple[int, int]  # (height, width) in pixels
    objects: tuple[ReferredObject, ...]

    @property
    def num_rounds(self) -> int:
        """Count how often the picture is shown, until each of its sentences was used."""
        return max(len(each.sentences) for each in self.objects)


class RefCoco:
    """Pictures with named objects. A picture with up to N sentences an object is N items, each with one sentence each.

    Attributes:
        pictures: each once.
    """

    def __init__(self, name: str, pictures: Sequence[ReferredPicture], vocabulary: tuple[str, ...]) -> None:
        self.name = name
        self.pictures = tuple(pictures)
        self.vocabulary = vocabulary
        self.is_exhaustive = False
        self._items = tuple((picture, number) for picture in self.pictures for number in range(picture.num_rounds))

    def __len__(self) -> int:
        return len(self._items)

    def num_frames(self, _item_index: int, /) -> int:
        """Give 1: every item is a still."""
        return 1

    def read(self, item_index: int, _position: int, /) -> Picture:
        """Read a picture, its objects and a sentence for each."""
        picture, number = self._items[item_index]
        return Picture(
            image=read_image(picture.image_path),
            masks=read_masks(picture),
            category_ids=tuple(each.category_id for each in picture.objects),
            texts=tuple(each.sentences[number % len(each.sentences)] for each in picture.objects),
        )

    def paths(self) -> Iterator[Path]:
        """Give every file that the annotation names."""
        for picture in self.pictures:
            yield picture.image_path


def open_refcoco(root: Path, split: str, name: str) -> RefCoco:
    """Open `refs(unc).p` (or `refs(umd).p`, `refs(google).p`) and `instances.json` of one of the three.

    Pictures lie in `train2014/` in the folder, beside it, or in a folder `coco`, `images` or `coco2014` beside it.

    Args:
        root: folder of the data set.
        split: "train", "val", "testA", "testB", for RefCOCOg "train", "val", "test".
        name: of the data set, for messages.
    Raises:
        InputError: where a part of the layout is missing or malformed.
    """
    references = first_existing(tuple(root / file_name for file_name in _REFERENCES))
    annotation = root / "instances.json"
    content = read_json(annotation, ("images", "annotations", "categories"))
    folders = (root, root / "images", root.parent, *(root.parent / each for each in ("coco", "images", "coco2014")))
    images = first_existing(tuple(folder / "train2014" for folder in folders))
    refs = read_plain_pickle(references)
    with understanding(references):
        chosen = [ref for ref in refs if ref["split"] == split]
        if not chosen:
            splits = sorted({str(ref["split"]) for ref in refs})
            raise InputError(f"expected a split of {references}: {', '.join(splits)}, got {split!r}")
        with understanding(annotation):
            pictures, vocabulary = _pictures(chosen, content, images)
    return RefCoco(f"{name}-{split}", pictures, vocabulary)


def read_masks(picture: ReferredPicture) -> torch.Tensor:
    """Draw the objects of a picture: bool [O, H, W]."""
    masks = torch.zeros(len(picture.objects), *picture.size, dtype=torch.bool)
    for row, each in enumerate(picture.objects):
        encoded = to_rle(each.segmentation, picture.size)
        if encoded is not None:
            masks[row] = torch.from_numpy(np.ascontiguousarray(rle.decode(encoded)))
    return masks


def _pictures(refs: list[Json], content: Json, images: Path) -> tuple[list[ReferredPicture], tuple[str, ...]]:
    categories = read_categories(content)
    rows = categories.rows
    image_of = {int(image["id"]): image for image in content["images"]}
    annotation_of = {int(each["id"]): each for each in content["annotations"]}
    objects: dict[int, list[ReferredObject]] = defaultdict(list)
    for ref in refs:
        annotation = annotation_of[int(ref["ann_id"])]
        sentences = tuple(str(sentence["sent"]) for sentence in ref["sentences"])
        if sentences:
            found = ReferredObject(rows[int(annotation["category_id"])], annotation["segmentation"], sentences)
            objects[int(ref["image_id"])].append(found)
    pictures = [
        ReferredPicture(
            image_id,
            images / str(image_of[image_id]["file_name"]),
            (int(image_of[image_id]["height"]), int(image_of[image_id]["width"])),
            tuple(each),
        )
        for image_id, each in sorted(objects.items())
    ]
    return pictures, categories.names
