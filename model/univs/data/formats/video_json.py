"""YouTube-VIS 2019 and 2021, and OVIS: COCO's JSON with a mask per frame.

Source: Yang et al., "Video Instance Segmentation", ICCV 2019; Qi et al., "Occluded Video Instance Segmentation", 2022.
Your own videos can be brought in this format.
"""

from collections import defaultdict
from pathlib import Path

from univs.data.formats.categories import read_categories
from univs.data.formats.json_files import Json, first_existing, read_json, understanding
from univs.data.formats.segmentations import to_rle
from univs.data.formats.track_videos import AnnotatedTrack, TrackVideo, TrackVideos
from univs.errors import InputError


def open_video_json(root: Path, split: str, name: str) -> TrackVideos:
    """Open a split by name ("train", "valid", "test"), at one of the places in which the archives unpack.

    Annotations: `SPLIT.json`, `SPLIT/instances.json`, `annotations_SPLIT.json` or `instances_SPLIT.json`. Pictures:
    `SPLIT/JPEGImages/` or `SPLIT/`.

    Args:
        root: folder of the data set.
        split: which videos.
        name: of the data set, for messages.
    Raises:
        InputError: where a part of the layout is missing or malformed.
    """
    annotation = first_existing(
        (
            root / f"{split}.json",
            root / split / "instances.json",
            root / f"annotations_{split}.json",
            root / f"instances_{split}.json",
        )
    )
    images = first_existing((root / split / "JPEGImages", root / split))
    return read_video_json(annotation, images, f"{name}-{split}")


def read_video_json(annotation: Path, images: Path, name: str) -> TrackVideos:
    """Read a file of videos, annotations (may be missing) and categories.

    Args:
        annotation: the JSON.
        images: the folder that its file names start from.
        name: of the data set and split, for messages.
    Raises:
        InputError: for a file that is missing or malformed.
    """
    content = read_json(annotation, ("videos", "categories"))
    with understanding(annotation):
        categories = read_categories(content)
        by_video: dict[int, list[Json]] = defaultdict(list)
        for each in content.get("annotations") or ():
            by_video[int(each["video_id"])].append(each)
        videos = [
            _video(video, images, by_video[int(video["id"])], categories.rows)
            for video in sorted(content["videos"], key=lambda video: int(video["id"]))
        ]
    return TrackVideos(name, videos, categories.names, categories.category_ids)


def _video(video: Json, images: Path, annotations: list[Json], row_of_category: dict[int, int]) -> TrackVideo:
    size = (int(video["height"]), int(video["width"]))
    paths = tuple(images / file_name for file_name in video["file_names"])
    tracks = tuple(_track(each, len(paths), size, row_of_category) for each in annotations)
    return TrackVideo(int(video["id"]), _name(video["file_names"]), paths, tracks)


def _track(each: Json, num_frames: int, size: tuple[int, int], row_of_category: dict[int, int]) -> AnnotatedTrack:
    masks = tuple(to_rle(segmentation, size) for segmentation in each["segmentations"])
    if len(masks) != num_frames:
        raise InputError(
            f"expected {num_frames} segmentations of annotation {each['id']}, one per frame of video "
            f"{each['video_id']}, got {len(masks)}; write null where the object does not show"
        )
    return AnnotatedTrack(
        int(each["id"]), row_of_category[int(each["category_id"])], masks, bool(each.get("iscrowd", 0))
    )


def _name(file_names: list[str]) -> str:
    return str(Path(file_names[0]).parent) if file_names else ""
