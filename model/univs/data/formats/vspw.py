"""VSPW: a class for every pixel of every frame, 124 classes.

Source: Miao et al., "VSPW: A Large-scale Dataset for Video Scene Parsing in the Wild", CVPR 2021.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from univs.data.formats.json_files import read_json, understanding
from univs.data.formats.label_videos import read_names
from univs.data.images import read_image, read_labels
from univs.data.sample import Picture
from univs.errors import InputError

VOID = -1
_VOID_VALUES = (0, 255)  # in the files; class K has the value K + 1
_REMEMBERED = 64  # videos whose classes are kept


@dataclass(frozen=True, slots=True)
class SemanticVideo:
    """The files of one video, in order."""

    name: str
    image_paths: tuple[Path, ...]
    mask_paths: tuple[Path, ...]


class Vspw:
    """Read a split: `SPLIT.txt`, `label_num_dic_final.json`, `data/VIDEO/origin/FRAME.jpg`, `.../mask/FRAME.png`.

    A row of a picture is all of one class; rows are the classes that the video holds.
    """

    def __init__(self, root: Path, split: str) -> None:
        """Open a split ("train", "val", "test").

        Raises:
            InputError: where a part of the layout is missing.
        """
        table = root / "label_num_dic_final.json"
        values = read_json(table, ())
        with understanding(table):
            named = sorted((int(value), str(name)) for name, value in values.items() if int(value) not in _VOID_VALUES)
        if [value for value, _ in named] != list(range(1, len(named) + 1)):
            raise InputError(f"expected labels 1..K in {table}, got {named[:8]}; take the official file")
        self.name = f"vspw-{split}"
        self.vocabulary = tuple(name for _, name in named)
        self.is_exhaustive = True
        self.videos = tuple(_open(root / "data" / name, name) for name in read_names(root / f"{split}.txt"))

    def __len__(self) -> int:
        return len(self.videos)

    def num_frames(self, item_index: int, /) -> int:
        """Count the frames of a video."""
        return len(self.videos[item_index].image_paths)

    def read_classes(self, item_index: int, position: int) -> npt.NDArray[np.int64]:
        """Read the classes of a frame, int64 [H, W], rows of the vocabulary or VOID."""
        return _read_classes(self.videos[item_index].mask_paths[position])

    def read(self, item_index: int, position: int, /) -> Picture:
        """Read a frame and the regions of the classes that its video holds."""
        video = self.videos[item_index]
        rows = _classes_of(video.mask_paths)
        classes = torch.from_numpy(self.read_classes(item_index, position))
        masks = [classes == row for row in rows]
        return Picture(
            image=read_image(video.image_paths[position]),
            masks=torch.stack(masks) if masks else torch.zeros(0, *classes.shape, dtype=torch.bool),
            category_ids=rows,
            texts=tuple(self.vocabulary[row] for row in rows),
        )

    def paths(self) -> Iterator[Path]:
        """Give every file that the annotation names."""
        for video in self.videos:
            yield from (*video.image_paths, *video.mask_paths)


def _read_classes(path: Path) -> npt.NDArray[np.int64]:
    values = read_labels(path).numpy().astype(np.int64)
    return np.where(np.isin(values, _VOID_VALUES), VOID, values - 1)


@lru_cache(maxsize=_REMEMBERED)
def _classes_of(mask_paths: tuple[Path, ...]) -> tuple[int, ...]:
    found = {int(value) for path in mask_paths for value in np.unique(_read_classes(path))}
    return tuple(sorted(found - {VOID}))


def _open(folder: Path, name: str) -> SemanticVideo:
    image_paths = tuple(sorted((folder / "origin").glob("*.jpg")))
    if not image_paths:
        raise InputError(f"expected pictures FRAME.jpg in {folder / 'origin'}, got none; unpack video {name!r} there")
    return SemanticVideo(name, image_paths, tuple(folder / "mask" / f"{path.stem}.png" for path in image_paths))
