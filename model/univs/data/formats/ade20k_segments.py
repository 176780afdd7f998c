"""ADE20K's instances, alone or with its stuff: the scene parsing benchmark and the instances released beside it.

Source: Zhou et al., "Semantic Understanding of Scenes through the ADE20K Dataset", IJCV 2019.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from univs import vocabularies
from univs.data.formats.categories import Categories
from univs.data.formats.json_files import understanding
from univs.data.formats.label_pictures import ADE20K_SPLITS, paired
from univs.data.images import read_image, read_labels
from univs.data.sample import Picture
from univs.errors import InputError


@dataclass(frozen=True, slots=True)
class PictureSegment:
    """A thing, or all of one stuff class, of a picture."""

    category_id: int  # row of the vocabulary
    mask: npt.NDArray[np.bool_]  # [H, W]


class Ade20kSegments:
    """Read `images/SPLIT/`, `annotations_instance/SPLIT/`, `categoryMapping.txt`, and with stuff `annotations/SPLIT/`.

    A pixel of an instance picture has the number of a class in red and that of an instance in green, which counts over
    all classes of the picture. `categoryMapping.txt` says which class of the 150 a number means; these are the things.

    Attributes:
        categories: the things alone, or all 150; ids count the 150 from 1.
    """

    def __init__(self, root: Path, split: str, *, with_stuff: bool) -> None:
        """Open a split: "training" or "validation", or short "train" or "val".

        Raises:
            InputError: where a part of the layout is missing or malformed.
        """
        folder = ADE20K_SPLITS.get(split, split)
        self.name = f"ade20k-{'panoptic' if with_stuff else 'instances'}-{split}"
        self.pairs = paired(root / "images" / folder, root / "annotations_instance" / folder, (".jpg",))
        self._label_folder = root / "annotations" / folder if with_stuff else None
        everything = vocabularies.load("ade20k")
        self._class_of_number = _read_mapping(root / "categoryMapping.txt", len(everything))
        things = set(self._class_of_number.values())
        chosen = [row for row in range(len(everything)) if with_stuff or row in things]
        self._row_of_class = {each: row for row, each in enumerate(chosen)}
        self.categories = Categories(
            tuple(everything.names[each] for each in chosen),
            tuple(each + 1 for each in chosen),
            tuple(each in things for each in chosen),
        )
        self.vocabulary = self.categories.names
        self.is_exhaustive = True

    def __len__(self) -> int:
        return len(self.pairs)

    def num_frames(self, _item_index: int, /) -> int:
        """Give 1: every item is a still."""
        return 1

    @property
    def image_ids(self) -> tuple[int, ...]:
        """Number the pictures, from 1."""
        return tuple(range(1, len(self) + 1))

    def map_name(self, item_index: int) -> str:
        """Name the picture of ids that predictions have."""
        return self.pairs[item_index][1].name

    def segments(self, item_index: int) -> list[PictureSegment]:
        """Read the stuff of a picture, if it was asked for, and its things.

        Raises:
            InputError: for pictures that are no such annotation.
        """
        path = self.pairs[item_index][1]
        with Image.open(path) as image:
            colours = np.array(image.convert("RGB"))
        numbers, instances = colours[..., 0], colours[..., 1]
        found = self._stuff(path.name, instances == 0)
        for instance in np.unique(instances[instances > 0]):
            mask = instances == instance
            number = int(np.bincount(numbers[mask]).argmax())
            if number not in self._class_of_number:
                raise InputError(f"expected numbers of categoryMapping.txt in the red of {path}, got {number}")
            found.append(PictureSegment(self._row_of_class[self._class_of_number[number]], mask))
        return found

    def read(self, item_index: int, _position: int, /) -> Picture:
        """Read a picture and its segments; where stuff and a thing overlap, the thing has the pixel."""
        segments = self.segments(item_index)
        image = read_image(self.pairs[item_index][0])
        masks = [torch.from_numpy(each.mask) for each in segments]
        return Picture(
            image=image,
            masks=torch.stack(masks) if masks else torch.zeros(0, *image.shape[-2:], dtype=torch.bool),
            category_ids=tuple(each.category_id for each in segments),
            texts=tuple(self.vocabulary[each.category_id] for each in segments),
        )

    def paths(self) -> Iterator[Path]:
        """Give every file of the split."""
        for pair in self.pairs:
            yield from pair
            if self._label_folder is not None:
                yield self._label_folder / pair[1].name

    def _stuff(self, name: str, is_free: npt.NDArray[np.bool_]) -> list[PictureSegment]:
        """Read the stuff of a picture, where no thing is."""
        if self._label_folder is None:
            return []
        labels = read_labels(self._label_folder / name).numpy()
        if labels.shape != is_free.shape:
            raise InputError(f"expected {self._label_folder / name} to have {is_free.shape} pixels, got {labels.shape}")
        stuff = {
            each + 1: row for each, row in self._row_of_class.items() if not self.categories.is_thing[row]
        }  # by the value of its pixels
        values = np.unique(labels[is_free]).tolist()
        return [PictureSegment(stuff[value], (labels == value) & is_free) for value in values if value in stuff]


def _read_mapping(path: Path, num_classes: int) -> dict[int, int]:
    """Read lines of NUMBER CLASS NAME after a head: number in instance pictures -> class, counted from 0."""
    if not path.is_file():
        raise InputError(f"expected {path}, got no such file; it comes with annotations_instance")
    with understanding(path):
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:] if line.strip()]
        mapping = {int(line[0]): int(line[1]) - 1 for line in lines}
    if not mapping or not all(0 <= each < num_classes for each in mapping.values()):
        raise InputError(f"expected classes 1..{num_classes} in the second column of {path}; take the official file")
    return mapping
