"""DAVIS 2016: one object (or one group) per clip, a folder of pictures and one of masks per clip."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from univs.data.formats.json_files import read_json, understanding
from univs.data.images import read_image, read_labels
from univs.data.sample import UNKNOWN_CATEGORY, Picture
from univs.errors import InputError

_RESOLUTIONS = ("480p", "320p")  # the official one first


@dataclass(frozen=True, slots=True)
class DavisClip:
    """The files of one clip, in order."""

    name: str
    image_paths: tuple[Path, ...]
    mask_paths: tuple[Path, ...]
    expression: str
    categories: frozenset[str] = frozenset()  # of what the mask shows, where the expressions' file names them


class Davis2016:
    """Read a split of DAVIS 2016: `ImageSets/`, `JPEGImages/RES/CLIP/`, `Annotations/RES/CLIP/`.

    The split is `ImageSets/480p/SPLIT.txt` with the files of every frame, as released in 2016, or names of clips in
    `ImageSets/2016/SPLIT.txt`, as released in 2017, or in `ImageSets/SPLIT.txt`.
    """

    def __init__(self, root: Path, split: str) -> None:
        """Open a split ("train", "val"; or others that are listed).

        Raises:
            InputError: where a file or folder of the layout is missing.
        """
        self.name = f"davis2016-{split}"
        self.vocabulary: tuple[str, ...] = ()
        self.is_exhaustive = False
        expressions = _expressions(root / "expressions.json")
        names = _read_clip_names(root / "ImageSets", split)
        self.clips = tuple(_open_clip(root, name, expressions.get(name, _NOTHING_SAID)) for name in names)

    def __len__(self) -> int:
        return len(self.clips)

    def num_frames(self, item_index: int) -> int:
        """Count the frames of a clip."""
        return len(self.clips[item_index].image_paths)

    def read(self, item_index: int, position: int) -> Picture:
        """Read one frame and the mask of its object."""
        clip = self.clips[item_index]
        return Picture(
            image=read_image(clip.image_paths[position]),
            masks=read_labels(clip.mask_paths[position])[None] > 0,
            category_ids=(UNKNOWN_CATEGORY,),
            texts=(clip.expression,),
        )

    def paths(self) -> Iterator[Path]:
        """Give every file of the split."""
        for clip in self.clips:
            yield from (*clip.image_paths, *clip.mask_paths)


def _read_clip_names(folder: Path, split: str) -> tuple[str, ...]:
    for path in (folder / f"{split}.txt", folder / "2016" / f"{split}.txt", folder / "480p" / f"{split}.txt"):
        if path.is_file():
            first_words = (line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
            return tuple(dict.fromkeys(Path(word).parent.name if "/" in word else word for word in first_words))
    raise InputError(
        f"expected the list of clips {folder / split}.txt, or the same in {folder / '2016'} or {folder / '480p'}, got "
        "none; give the folder that holds ImageSets"
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """What the expressions' file says of a clip."""

    expression: str
    categories: frozenset[str]


_NOTHING_SAID = _Said("", frozenset())


def _open_clip(root: Path, name: str, said: _Said) -> DavisClip:
    for resolution in _RESOLUTIONS:
        image_paths = tuple(sorted((root / "JPEGImages" / resolution / name).glob("*.jpg")))
        if image_paths:
            break
    else:
        raise InputError(f"DAVIS clip {name!r} has no pictures under {root / 'JPEGImages'} at {_RESOLUTIONS}")
    mask_folder = root / "Annotations" / resolution / name
    mask_paths = tuple(mask_folder / f"{path.stem}.png" for path in image_paths)
    missing = [path for path in mask_paths if not path.is_file()]
    if missing:
        raise InputError(f"DAVIS clip {name!r} lacks {len(missing)} of {len(mask_paths)} masks, first {missing[0]}")
    return DavisClip(name, image_paths, mask_paths, said.expression, said.categories)


def _expressions(path: Path) -> dict[str, _Said]:
    if not path.is_file():
        return {}
    sequences = read_json(path, ("sequences",))["sequences"]
    with understanding(path):
        return {
            name: _Said(
                str(entry["expression"]), frozenset(each for each in entry.get("category", "").split("+") if each)
            )
            for name, entry in sequences.items()
        }
