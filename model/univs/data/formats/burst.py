"""BURST: tracks of 482 classes, of which each video annotates some.

Source: Athar et al., "BURST: A Benchmark for Unifying Object Recognition, Segmentation and Tracking in Video", 2023.
"""

from pathlib import Path

from univs.data.formats.categories import read_categories
from univs.data.formats.json_files import Json, first_existing, read_json, understanding
from univs.data.formats.segmentations import to_rle
from univs.data.formats.track_videos import AnnotatedTrack, TrackVideo, TrackVideos
from univs.errors import InputError


def open_burst(root: Path, split: str) -> TrackVideos:
    """Open `annotations/SPLIT/all_classes.json` and `frames/SPLIT/COLLECTION/VIDEO/` ("train", "val", "test").

    Raises:
        InputError: where a part of the layout is missing or malformed.
    """
    images = first_existing((root / "frames" / split, root / "images" / split))
    return read_burst(annotation_path(root, split), images, f"burst-{split}")


def annotation_path(root: Path, split: str) -> Path:
    """Say where the annotation of a split lies.

    Raises:
        InputError: where it is missing.
    """
    return first_existing((root / "annotations" / split / "all_classes.json", root / split / "all_classes.json"))


def read_burst(annotation: Path, images: Path, name: str) -> TrackVideos:
    """Read a file of sequences, annotated or predicted, which have one format.

    Args:
        annotation: the JSON.
        images: the folder that its file names start from.
        name: of the data set and split, for messages.
    Raises:
        InputError: for a file that is missing or malformed.
    """
    content = read_json(annotation, ("sequences", "categories"))
    with understanding(annotation):
        categories = read_categories(content)
        videos = [_video(each, images, categories.rows) for each in content["sequences"]]
    return TrackVideos(name, videos, categories.names, categories.category_ids)


def common_categories(root: Path) -> frozenset[int]:
    """Give the ids of the classes called common, from `annotations/info/class_split.json`; the others are uncommon.

    Raises:
        InputError: where the file is missing or malformed.
    """
    name = Path("info") / "class_split.json"
    content = read_json(first_existing((root / "annotations" / name, root / name)), ("common",))
    return frozenset(int(category_id) for category_id in content["common"])


def _video(each: Json, images: Path, row_of_category: dict[int, int]) -> TrackVideo:
    size = (int(each["height"]), int(each["width"]))
    name = f"{each['dataset']}/{each['seq_name']}"
    frames, paths = each["segmentations"], each["annotated_image_paths"]
    if len(frames) != len(paths):
        raise InputError(
            f"expected segmentations of the {len(paths)} frames of video {name}, got {len(frames)}; "
            "download the annotations again"
        )
    tracks = tuple(
        AnnotatedTrack(
            int(track_id),
            row_of_category[int(category_id)],
            tuple(to_rle(_encoded(frame.get(track_id), size), size) for frame in frames),
        )
        for track_id, category_id in sorted(each["track_category_ids"].items(), key=lambda item: int(item[0]))
    )
    return TrackVideo(
        int(each["id"]),
        name,
        tuple(images / name / file_name for file_name in paths),
        tracks,
        _rows(each["neg_category_ids"], row_of_category),
        _rows(each["not_exhaustive_category_ids"], row_of_category),
        tuple(images / name / file_name for file_name in each["all_image_paths"]),
    )


def _encoded(detection: Json | None, size: tuple[int, int]) -> Json | None:
    return None if detection is None else {"size": list(size), "counts": detection["rle"]}


def _rows(category_ids: list[int], row_of_category: dict[int, int]) -> frozenset[int]:
    return frozenset(row_of_category[number] for number in category_ids if number in row_of_category)
