"""Videos of several objects as clips of one: each from the frame in which it shows first.

Under strict isolation an object is followed the same whoever is beside it, so that its figures are those of a run with
all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from univs.data.divided import Parts
from univs.data.sample import Picture

_FEWEST_FRAMES = 3  # the first is given, the last is left out


@dataclass(frozen=True, slots=True)
class ObjectClip:
    """One object of one video."""

    name: str
    image_paths: tuple[Path, ...]  # from its first frame on
    item_index: int
    row: int
    first: int


class ObjectClips:
    """A source of single objects, for `univs.evaluation.run.evaluate_vos`."""

    def __init__(self, source: Parts) -> None:
        """List the objects; those that show in fewer than three frames from their first to the end are left out."""
        self._source = source
        self.clips = tuple(clip for item_index in range(len(source)) for clip in _objects(source, item_index))

    def num_frames(self, item_index: int, /) -> int:
        """Count the frames of a clip."""
        return len(self.clips[item_index].image_paths)

    def read(self, item_index: int, position: int, /) -> Picture:
        """Read a frame and the mask of its object."""
        clip = self.clips[item_index]
        picture = self._source.read(clip.item_index, clip.first + position)
        rows = slice(clip.row, clip.row + 1)
        return Picture(picture.image, picture.masks[rows], picture.category_ids[rows], picture.texts[rows])


def _objects(source: Parts, item_index: int) -> Iterator[ObjectClip]:
    part = source.parts[item_index]
    num_frames = source.num_frames(item_index)
    first_of: dict[int, int] = {}
    num_objects = 0
    for position in range(num_frames):
        masks = source.read(item_index, position).masks
        num_objects = len(masks)
        for row, shows in enumerate(masks.flatten(1).any(dim=1).tolist()):
            if shows:
                first_of.setdefault(row, position)
        if len(first_of) == num_objects:
            break
    for row, first in sorted(first_of.items()):
        if num_frames - first >= _FEWEST_FRAMES:
            name = part.name if num_objects == 1 else f"{part.name}, object {row + 1}"
            yield ObjectClip(name, part.image_paths[part.first + first : part.end], item_index, row, first)
