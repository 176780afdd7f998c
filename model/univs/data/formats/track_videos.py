"""Videos whose annotation is a track of run-length encoded masks per object, with its class.

YouTube-VIS, OVIS and BURST; `video_json.py` and `burst.py` read their files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from univs import rle
from univs.data.images import read_image
from univs.data.sample import Picture
from univs.rle import Rle


@dataclass(frozen=True, slots=True)
class AnnotatedTrack:
    """An object of a video."""

    track_id: int  # as in the file
    category_id: int  # row of the vocabulary
    masks: tuple[Rle | None, ...]  # [T]; None where it does not show
    is_crowd: bool = False


@dataclass(frozen=True, slots=True)
class TrackVideo:
    """The files and objects of one video."""

    video_id: int  # as in the file
    name: str
    image_paths: tuple[Path, ...]  # [T], the frames that are annotated
    tracks: tuple[AnnotatedTrack, ...]  # none where the split keeps them secret
    absent_categories: frozenset[int] = frozenset()  # rows verified not to occur
    incomplete_categories: frozenset[int] = frozenset()  # rows of which some objects are not annotated
    all_image_paths: tuple[Path, ...] = ()  # with the frames between the annotated ones; none where all are annotated

    @property
    def frame_paths(self) -> tuple[Path, ...]:
        """Give every frame of the video, annotated or not."""
        return self.all_image_paths or self.image_paths


class TrackVideos:
    """A source of such videos."""

    def __init__(
        self, name: str, videos: Sequence[TrackVideo], vocabulary: tuple[str, ...], category_ids: tuple[int, ...]
    ) -> None:
        """Hold a split.

        Args:
            name: of the data set and split.
            videos: its videos.
            vocabulary: names of the classes.
            category_ids: the number that the file gives each class, as submissions need it.
        """
        self.name = name
        self.videos = tuple(videos)
        self.vocabulary = vocabulary
        self.category_ids = category_ids
        self.is_exhaustive = not any(video.incomplete_categories for video in videos)

    def __len__(self) -> int:
        return len(self.videos)

    def num_frames(self, item_index: int, /) -> int:
        """Count the annotated frames of a video."""
        return len(self.videos[item_index].image_paths)

    def read(self, item_index: int, position: int, /) -> Picture:
        """Read a frame and its instances; crowds are left out."""
        video = self.videos[item_index]
        image = read_image(video.image_paths[position])
        tracks = [track for track in video.tracks if not track.is_crowd]
        masks = torch.zeros(len(tracks), *image.shape[-2:], dtype=torch.bool)
        for row, track in enumerate(tracks):
            mask = track.masks[position]
            if mask is not None:
                masks[row] = _tensor(mask)
        return Picture(
            image=image,
            masks=masks,
            category_ids=tuple(track.category_id for track in tracks),
            texts=tuple(self.vocabulary[track.category_id] for track in tracks),
        )

    def paths(self) -> Iterator[Path]:
        """Give every file that the annotation names."""
        for video in self.videos:
            yield from video.frame_paths


def _tensor(mask: Rle) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rle.decode(mask)))
