"""Pictures decoded once, at training size, in flat files that every process maps.

A cache is a folder of three files: `pixels.bin` (uint8 CHW, picture after picture), `masks.bin` (bits of the
masks, packed) and `index.json` (shapes, categories, texts). It is written beside its place and moved there whole.
"""

import json
import os
import shutil
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from univs.data.images import resize_short_side
from univs.data.sample import Picture, Source

_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where one picture lies, and what its objects are."""

    height: int
    width: int
    pixel_start: int
    mask_start: int
    category_ids: tuple[int, ...]
    texts: tuple[str, ...]


class CachedSource:
    """A source read from its cache: the same pictures, at most `short_side_px` on the short side."""

    def __init__(self, source: Source, folder: Path, short_side_px: int) -> None:
        """Open the cache of a source under `folder`; decode the whole source first where there is none."""
        self.name = source.name
        self.vocabulary = source.vocabulary
        self.is_exhaustive = source.is_exhaustive
        place = folder / f"{source.name}-{len(source)}-{short_side_px}px-v{_VERSION}"
        if not place.is_dir():
            _write(source, place, short_side_px)
        content = json.loads((place / "index.json").read_text(encoding="utf-8"))
        self._items = tuple(tuple(_entry(fields) for fields in item) for item in content)
        self._pixels: npt.NDArray[np.uint8] = np.memmap(place / "pixels.bin", dtype=np.uint8, mode="r")
        self._masks: npt.NDArray[np.uint8] = np.memmap(place / "masks.bin", dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self._items)

    def num_frames(self, item_index: int) -> int:
        """Count the frames of an item."""
        return len(self._items[item_index])

    def read(self, item_index: int, position: int) -> Picture:
        """Read one frame: a copy, free to change."""
        entry = self._items[item_index][position]
        num_pixels = entry.height * entry.width
        pixels = np.array(self._pixels[entry.pixel_start : entry.pixel_start + 3 * num_pixels])
        num_bits = len(entry.category_ids) * num_pixels
        packed = self._masks[entry.mask_start : entry.mask_start + (num_bits + 7) // 8]
        bits = np.unpackbits(packed, count=num_bits).view(np.bool_)
        return Picture(
            image=torch.from_numpy(pixels).view(3, entry.height, entry.width),
            masks=torch.from_numpy(bits).view(-1, entry.height, entry.width)
            if entry.category_ids
            else torch.zeros(0, entry.height, entry.width, dtype=torch.bool),
            category_ids=entry.category_ids,
            texts=entry.texts,
        )


def _write(source: Source, place: Path, short_side_px: int) -> None:
    partial = place.with_name(f"{place.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    items: list[list[tuple[Any, ...]]] = []  # fields of an entry, in order: numbers and lists of JSON
    pixel_start = mask_start = 0
    with (partial / "pixels.bin").open("wb") as pixel_file, (partial / "masks.bin").open("wb") as mask_file:
        for item_index in range(len(source)):
            items.append([])
            for position in range(source.num_frames(item_index)):
                picture = resize_short_side(source.read(item_index, position), short_side_px)
                height, width = picture.image.shape[-2:]
                entry = _Entry(height, width, pixel_start, mask_start, picture.category_ids, picture.texts)
                items[-1].append(astuple(entry))
                pixel_start += pixel_file.write(picture.image.contiguous().numpy().tobytes())
                mask_start += mask_file.write(np.packbits(picture.masks.numpy()).tobytes())
        if mask_start == 0:
            mask_file.write(b"\0")  # an empty file cannot be mapped
    (partial / "index.json").write_text(json.dumps(items), encoding="utf-8")
    try:
        partial.rename(place)
    except OSError:  # another process was first; its cache is the same
        if not place.is_dir():
            raise
        shutil.rmtree(partial)


def _entry(fields: list[Any]) -> _Entry:
    """Build an entry from its line of the index, which `_write` wrote field by field."""
    height, width, pixel_start, mask_start, category_ids, texts = fields
    return _Entry(height, width, pixel_start, mask_start, tuple(category_ids), tuple(texts))
