"""VIPSeg: every pixel of every frame belongs to a thing or to stuff; an id stays with its segment through the video.

Source: Miao et al., "Large-scale Video Panoptic Segmentation in the Wild: A Benchmark", CVPR 2022.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from univs.data.formats.categories import read_categories
from univs.data.formats.json_files import Json, read_json, understanding
from univs.data.images import read_ids, read_image
from univs.data.sample import Picture


@dataclass(frozen=True, slots=True)
class PanopticSegment:
    """A thing, or all of one stuff class, of a video."""

    segment_id: int  # value in the id maps; 0 is void
    category_id: int  # row of the vocabulary
    is_crowd: bool


@dataclass(frozen=True, slots=True)
class PanopticVideo:
    """The files and segments of one video."""

    name: str
    image_paths: tuple[Path, ...]
    map_paths: tuple[Path, ...]
    segments: tuple[PanopticSegment, ...]


class VipSeg:
    """Read a split: `panoptic_gt_VIPSeg_SPLIT.json`, `images/VIDEO/FRAME.jpg`, `panomasksRGB/VIDEO/FRAME.png`."""

    def __init__(self, root: Path, split: str) -> None:
        """Open a split ("train", "val", "test").

        Raises:
            InputError: where a part of the layout is missing.
        """
        annotation = root / f"panoptic_gt_VIPSeg_{split}.json"
        content = read_json(annotation, ("videos", "annotations", "categories"))
        self.name = f"vipseg-{split}"
        self.is_exhaustive = True
        with understanding(annotation):
            self._fill(root, content)

    def _fill(self, root: Path, content: Json) -> None:
        categories = read_categories(content)
        annotations = {str(each["video_id"]): each["annotations"] for each in content["annotations"]}
        self.vocabulary = categories.names
        self.category_ids = categories.category_ids
        self.is_thing = categories.is_thing
        self.videos = tuple(
            _video(root, video, annotations.get(str(video["video_id"]), []), categories.rows)
            for video in content["videos"]
        )

    def __len__(self) -> int:
        return len(self.videos)

    def num_frames(self, item_index: int, /) -> int:
        """Count the frames of a video."""
        return len(self.videos[item_index].image_paths)

    def read_ids(self, item_index: int, position: int) -> npt.NDArray[np.int64]:
        """Read the id map of a frame, int64 [H, W]; 0 is void."""
        return read_ids(self.videos[item_index].map_paths[position])

    def read(self, item_index: int, position: int, /) -> Picture:
        """Read a frame and the segments of its video; crowds are left out."""
        video = self.videos[item_index]
        ids = torch.from_numpy(self.read_ids(item_index, position))
        segments = [segment for segment in video.segments if not segment.is_crowd]
        masks = [ids == segment.segment_id for segment in segments]
        return Picture(
            image=read_image(video.image_paths[position]),
            masks=torch.stack(masks) if masks else torch.zeros(0, *ids.shape, dtype=torch.bool),
            category_ids=tuple(segment.category_id for segment in segments),
            texts=tuple(self.vocabulary[segment.category_id] for segment in segments),
        )

    def paths(self) -> Iterator[Path]:
        """Give every file that the annotation names."""
        for video in self.videos:
            yield from (*video.image_paths, *video.map_paths)


def _video(root: Path, video: Json, annotations: list[Json], rows: dict[int, int]) -> PanopticVideo:
    name = str(video["video_id"])
    stems = [Path(str(image["file_name"])).stem for image in video["images"]]
    segments = {
        int(segment["id"]): PanopticSegment(
            int(segment["id"]), rows[int(segment["category_id"])], bool(segment.get("iscrowd", 0))
        )
        for annotation in annotations
        for segment in annotation["segments_info"]
    }
    return PanopticVideo(
        name,
        tuple(root / "images" / name / f"{stem}.jpg" for stem in stems),
        tuple(root / "panomasksRGB" / name / f"{stem}.png" for stem in stems),
        tuple(segments[segment_id] for segment_id in sorted(segments)),
    )
