"""Videos whose annotation is a picture of object ids per frame: DAVIS 2017, YouTube-VOS, MOSE, VIPOSeg, Ref-DAVIS.

What differs between them, where files lie and which objects count, is read by the files beside this one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from univs.data.images import read_image, read_labels
from univs.data.sample import UNKNOWN_CATEGORY, Picture
from univs.errors import InputError

_PICTURES = ("*.jpg", "*.jpeg", "*.png")  # what data sets have comes first
NO_OBJECT = 0  # an id that no pixel stands for: the object of an expression that the split keeps secret


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """An object of a video, or an expression that names one."""

    object_id: int  # label in the maps; NO_OBJECT when unknown
    first_position: int = 0  # of the frame whose mask is given
    category_id: int = UNKNOWN_CATEGORY  # row of the vocabulary
    text: str = ""
    expression_id: str = ""  # as the data set numbers expressions


@dataclass(frozen=True, slots=True)
class LabelVideo:
    """The files of one video, in order."""

    name: str
    image_paths: tuple[Path, ...]
    mask_paths: tuple[Path | None, ...]  # None for a frame that is not annotated
    objects: tuple[LabelledObject, ...]

    @property
    def frame_names(self) -> tuple[str, ...]:
        """Names of the frames, as submissions need them."""
        return tuple(path.stem for path in self.image_paths)


class LabelVideos:
    """A source of such videos."""

    def __init__(self, name: str, videos: Sequence[LabelVideo], vocabulary: tuple[str, ...] = ()) -> None:
        self.name = name
        self.videos = tuple(videos)
        self.vocabulary = vocabulary
        self.is_exhaustive = False

    def __len__(self) -> int:
        return len(self.videos)

    def num_frames(self, item_index: int, /) -> int:
        """Count the frames of a video."""
        return len(self.videos[item_index].image_paths)

    def read(self, item_index: int, position: int, /) -> Picture:
        """Read a frame and the masks of its objects, empty where the frame is not annotated."""
        video = self.videos[item_index]
        image = read_image(video.image_paths[position])
        mask_path = video.mask_paths[position]
        masks = torch.zeros(len(video.objects), *image.shape[-2:], dtype=torch.bool)
        if mask_path is not None:
            labels = read_labels(mask_path)
            if labels.shape != image.shape[-2:]:
                raise InputError(
                    f"expected {mask_path} to have the size {tuple(image.shape[-2:])} of its frame, got "
                    f"{tuple(labels.shape)}; take pictures and annotations of one resolution"
                )
            for row, each in enumerate(video.objects):
                if each.object_id != NO_OBJECT:
                    masks[row] = labels == each.object_id
        return Picture(
            image=image,
            masks=masks,
            category_ids=tuple(each.category_id for each in video.objects),
            texts=tuple(each.text for each in video.objects),
        )

    def annotated(self) -> "LabelVideos":
        """Leave out frames without annotation, of which nothing says what they show, and videos without any frame."""
        videos = (_annotated(video) for video in self.videos)
        return LabelVideos(self.name, [video for video in videos if video.image_paths], self.vocabulary)

    def paths(self) -> Iterator[Path]:
        """Give every file that the annotation names."""
        for video in self.videos:
            yield from video.image_paths
            yield from (path for path in video.mask_paths if path is not None)


def _annotated(video: LabelVideo) -> LabelVideo:
    kept = [position for position, path in enumerate(video.mask_paths) if path is not None]
    return replace(
        video,
        image_paths=tuple(video.image_paths[position] for position in kept),
        mask_paths=tuple(video.mask_paths[position] for position in kept),
        objects=tuple(
            replace(each, first_position=sum(position < each.first_position for position in kept))
            for each in video.objects
        ),
    )


def open_video(
    name: str, image_folder: Path, mask_folder: Path, objects: Sequence[LabelledObject] | None = None
) -> LabelVideo:
    """List the frames of a video and the masks that there are.

    Args:
        name: of the video.
        image_folder: holds FRAME.jpg, FRAME.jpeg or FRAME.png.
        mask_folder: holds FRAME.png of all frames, of some, or of none.
        objects: None takes the ids of the first annotated frame.
    Raises:
        InputError: for a folder without pictures, or without the mask that names the objects.
    """
    image_paths = next((found for kind in _PICTURES if (found := tuple(sorted(image_folder.glob(kind))))), ())
    if not image_paths:
        raise InputError(
            f"expected pictures FRAME.jpg of video {name!r} in {image_folder}, got none; unpack them there"
        )
    there = {path.stem: path for path in mask_folder.glob("*.png")}
    mask_paths = tuple(there.get(path.stem) for path in image_paths)
    if objects is None:
        objects = _objects_of_first_mask(name, mask_folder, mask_paths)
    return LabelVideo(name, image_paths, mask_paths, tuple(objects))


def read_names(path: Path) -> tuple[str, ...]:
    """Read a list of videos, one a line.

    Raises:
        InputError: for a file that is missing.
    """
    if not path.is_file():
        raise InputError(f"expected the list of videos {path}, got no such file; give the folder of the data set")
    return tuple(path.read_text(encoding="utf-8").split())


def folder_names(folder: Path) -> tuple[str, ...]:
    """Give the names of the folders in a folder, sorted.

    Raises:
        InputError: for a folder that is missing.
    """
    if not folder.is_dir():
        raise InputError(f"expected the folder {folder}, got none; unpack the data set there")
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))


def object_ids_of(mask_path: Path) -> tuple[int, ...]:
    """Give the ids that a label map holds; 0 is background, 255 void."""
    return tuple(int(value) for value in np.unique(read_labels(mask_path).numpy()) if value not in {0, 255})


def _objects_of_first_mask(name: str, folder: Path, mask_paths: Sequence[Path | None]) -> list[LabelledObject]:
    for position, path in enumerate(mask_paths):
        if path is not None:
            return [LabelledObject(object_id, position) for object_id in object_ids_of(path)]
    raise InputError(
        f"expected FRAME.png of the first frame of video {name!r} in {folder}, got none; unpack the annotations there"
    )
