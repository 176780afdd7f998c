"""One's own videos, divided: some to train on, some to look at what was learnt."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from univs.data.formats.label_videos import LabelVideo, LabelVideos
from univs.data.formats.own_videos import open_own_videos
from univs.data.formats.track_videos import TrackVideo
from univs.data.sample import Picture, Source
from univs.errors import InputError

_HELD_OUT = ("val", "valid", "dev")  # names that people give the list of such videos
_SHARE = 4  # one video of so many is held out; of a single video, the last of so many equal parts


@dataclass(frozen=True, slots=True)
class VideoPart:
    """Frames of one video: `first` and later, before `end`."""

    name: str
    item_index: int
    image_paths: tuple[Path, ...]  # of all frames of the video
    first: int
    end: int


class Parts:
    """A source of parts of another source's videos."""

    def __init__(self, source: Source, parts: Sequence[VideoPart], name: str) -> None:
        self.name = name
        self.vocabulary = source.vocabulary
        self.is_exhaustive = source.is_exhaustive
        self.parts = tuple(parts)
        self._source = source

    def __len__(self) -> int:
        return len(self.parts)

    def num_frames(self, item_index: int, /) -> int:
        """Count the frames of a part."""
        return self.parts[item_index].end - self.parts[item_index].first

    def read(self, item_index: int, position: int, /) -> Picture:
        """Read the frame at a position of a part."""
        part = self.parts[item_index]
        return self._source.read(part.item_index, part.first + position)


@dataclass(frozen=True, slots=True)
class Divided:
    """What is trained on, and what is not."""

    train: Parts
    validation: Parts
    how: str  # who divided, for people


def open_divided(root: Path, held_out: Sequence[str] = ()) -> Divided:
    """Open a folder of one's own videos; frames without masks are left out.

    Args:
        root: in one of the layouts of `univs.data.formats.own_videos`.
        held_out: names of the videos for validation. Without any, the folder's own split of that kind; without one,
            a quarter of the videos, chosen by their names; of a single video its last quarter.
    Raises:
        InputError: for a layout with parts missing, names that are not there, and when nothing is left to train on.
    """
    train = _videos(root, "train")
    if held_out:
        missing = sorted(set(held_out) - {part.name for part in train.parts})
        if missing:
            raise InputError(
                f"expected videos of {', '.join(part.name for part in train.parts)}, got {', '.join(missing)}; "
                "name videos that the folder has"
            )
        return _split(train, set(held_out), "validation videos as named")
    split = next((name for name in _HELD_OUT if _has_split(root, name)), None)
    if split is not None:
        return Divided(train, _videos(root, split), f"train and {split} as the folder divides them")
    if len(train) == 1:
        return _split_in_time(train)
    by_chance = sorted((part.name for part in train.parts), key=lambda name: hashlib.sha256(name.encode()).digest())
    chosen = set(by_chance[: max(1, round(len(train) / _SHARE))])
    return _split(train, chosen, f"{len(chosen)} of {len(train)} videos held out, chosen by their names")


def _videos(root: Path, split: str) -> Parts:
    source = open_own_videos(root, split)
    if isinstance(source, LabelVideos):
        source = source.annotated()
    videos: Sequence[LabelVideo | TrackVideo] = source.videos
    parts = [
        VideoPart(video.name or f"video {index}", index, video.image_paths, 0, len(video.image_paths))
        for index, video in enumerate(videos)
    ]
    if not parts:
        raise InputError(f"expected videos with masks in {root}, got none; see docs/finetune.md for the layouts")
    return Parts(source, parts, source.name)


def _has_split(root: Path, split: str) -> bool:
    """Say whether a folder lists such a split, in any of its layouts."""
    names = (
        f"ImageSets/{split}.txt",
        f"ImageSets/2017/{split}.txt",
        f"{split}.json",
        f"{split}/instances.json",
        f"annotations_{split}.json",
        f"instances_{split}.json",
    )
    return any((root / name).is_file() for name in names)


def _split(every: Parts, chosen: set[str], how: str) -> Divided:
    kept = [part for part in every.parts if part.name not in chosen]
    if not kept:
        raise InputError("expected a video to train on, but all are held out; name fewer for validation")
    held = [part for part in every.parts if part.name in chosen]
    return Divided(_some(every, kept, "own-train"), _some(every, held, "own-validation"), how)


def _split_in_time(every: Parts) -> Divided:
    (part,) = every.parts
    border = part.end - part.end // _SHARE
    if part.end - border < 3:
        raise InputError(
            f"expected two videos with masks, or one with masks in {3 * _SHARE} frames or more, got one with "
            f"{part.end}; draw more masks"
        )
    early = VideoPart(part.name, part.item_index, part.image_paths, 0, border)
    late = VideoPart(part.name, part.item_index, part.image_paths, border, part.end)
    how = f"one video: frames before {border} are trained on, the rest is held out (a second video would say more)"
    return Divided(_some(every, [early], "own-train"), _some(every, [late], "own-validation"), how)


def _some(every: Parts, parts: Sequence[VideoPart], name: str) -> Parts:
    return Parts(every._source, parts, name)
