"""Pictures with a class for every pixel: the scene parsing of ADE20K, and CamVid."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from univs import vocabularies
from univs.data.formats.json_files import first_existing
from univs.data.images import read_image, read_labels
from univs.data.sample import Picture
from univs.errors import InputError

VOID = -1
ADE20K_SPLITS = {"train": "training", "val": "validation"}
_CAMVID = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign symbol",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)


@dataclass(frozen=True, slots=True)
class LabelCode:
    """How label pictures say what a pixel is: class K has the value `first_value + K`; all other values are void."""

    num_classes: int
    first_value: int
    void_value: int

    def decode(self, values: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Give classes, or VOID, for values."""
        classes = values.astype(np.int64) - self.first_value
        return np.where((classes >= 0) & (classes < self.num_classes), classes, VOID)

    def encode(self, classes: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Give values for classes, or VOID."""
        return np.where(classes == VOID, self.void_value, classes.astype(np.int64) + self.first_value)


class LabelPictures:
    """A source of such pictures; a row is all of one class in its picture.

    Attributes:
        folder: under which predictions of the split are filed.
    """

    def __init__(
        self, name: str, pairs: tuple[tuple[Path, Path], ...], vocabulary: tuple[str, ...], code: LabelCode, folder: str
    ) -> None:
        self.name = name
        self.pairs = pairs
        self.vocabulary = vocabulary
        self.code = code
        self.folder = folder
        self.is_exhaustive = True

    def __len__(self) -> int:
        return len(self.pairs)

    def num_frames(self, _item_index: int, /) -> int:
        """Give 1: every item is a still."""
        return 1

    def frame_name(self, item_index: int) -> str:
        """Name a picture, as predictions are named."""
        return self.pairs[item_index][1].stem

    def read_classes(self, item_index: int) -> npt.NDArray[np.int64]:
        """Read the classes of a picture, int64 [H, W], rows of the vocabulary or VOID."""
        return self.code.decode(read_labels(self.pairs[item_index][1]).numpy())

    def read(self, item_index: int, _position: int, /) -> Picture:
        """Read a picture and the regions of its classes."""
        classes = torch.from_numpy(self.read_classes(item_index))
        rows = tuple(row for row in torch.unique(classes).tolist() if row != VOID)
        masks = [classes == row for row in rows]
        return Picture(
            image=read_image(self.pairs[item_index][0]),
            masks=torch.stack(masks) if masks else torch.zeros(0, *classes.shape, dtype=torch.bool),
            category_ids=rows,
            texts=tuple(self.vocabulary[row] for row in rows),
        )

    def paths(self) -> Iterator[Path]:
        """Give every file of the split."""
        for pair in self.pairs:
            yield from pair


def open_ade20k(root: Path, split: str) -> LabelPictures:
    """Open ADEChallengeData2016: `images/SPLIT/NAME.jpg` and `annotations/SPLIT/NAME.png`, 150 classes.

    Source: Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017.

    Args:
        root: folder of the data set.
        split: "training" or "validation", or short "train" or "val".
    Raises:
        InputError: where a part of the layout is missing.
    """
    folder = ADE20K_SPLITS.get(split, split)
    names = vocabularies.load("ade20k").names
    pairs = paired(root / "images" / folder, root / "annotations" / folder, (".jpg",))
    return LabelPictures(f"ade20k-{split}", pairs, names, LabelCode(len(names), 1, 0), folder)


def open_camvid(root: Path, split: str) -> LabelPictures:
    """Open CamVid with 11 classes: `SPLIT/NAME.png` and `SPLITannot/NAME.png`; "val" also `images/` and `labels/`.

    Source: Brostow et al., "Semantic Object Classes in Video", 2009; classes as Badrinarayanan et al., "SegNet", 2017.

    Args:
        root: folder of the data set.
        split: "train", "val" or "test".
    Raises:
        InputError: where a part of the layout is missing.
    """
    undivided = (root / "labels",) if split == "val" else ()  # pictures to evaluate on are never trained on
    labels = first_existing((root / f"{split}annot", *undivided))
    images = root / split if labels.name != "labels" else root / "images"
    pairs = paired(images, labels, (".png", ".jpg"))
    return LabelPictures(f"camvid-{split}", pairs, _CAMVID, LabelCode(len(_CAMVID), 0, len(_CAMVID)), split)


def paired(images: Path, labels: Path, suffixes: tuple[str, ...]) -> tuple[tuple[Path, Path], ...]:
    """Pair `images/NAME.*` with `labels/NAME.png`, in the order of their names.

    Raises:
        InputError: where there is no picture.
    """
    found = sorted(path for suffix in suffixes for path in images.glob(f"*{suffix}"))
    if not found:
        raise InputError(f"expected pictures NAME{' or NAME'.join(suffixes)} in {images}, got none; unpack them there")
    return tuple((path, labels / f"{path.stem}.png") for path in found)
