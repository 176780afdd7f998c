"""YouTube-VOS 2018, and the expressions of Ref-YouTube-VOS over its videos.

Source: Xu et al., "YouTube-VOS: A Large-Scale Video Object Segmentation Benchmark", 2018; Seo et al., "URVOS", 2020.
"""

from dataclasses import replace
from pathlib import Path

from univs.data.formats.json_files import Json, first_existing, read_json, understanding
from univs.data.formats.label_videos import NO_OBJECT, LabelledObject, LabelVideo, LabelVideos, open_video
from univs.data.sample import UNKNOWN_CATEGORY


def open_youtube_vos(root: Path, split: str) -> LabelVideos:
    """Open `SPLIT/meta.json`, `SPLIT/JPEGImages/VIDEO/`, `SPLIT/Annotations/VIDEO/` ("train", "valid").

    An object is given in the first of its frames in meta.json. In "valid" only those frames are annotated.

    Raises:
        InputError: where a part of the layout is missing.
    """
    meta = root / split / "meta.json"
    content = read_json(meta, ("videos",))["videos"]
    with understanding(meta):
        vocabulary = _vocabulary(content)
        videos = [_video(root / split, name, entry, vocabulary) for name, entry in sorted(content.items())]
    return LabelVideos(f"youtube-vos-2018-{split}", videos, vocabulary)


def seen_categories(root: Path) -> frozenset[str]:
    """Give the names of the classes that the training split holds; the other ones of "valid" are unseen.

    Raises:
        InputError: where `train/meta.json` is missing.
    """
    meta = root / "train" / "meta.json"
    content = read_json(meta, ("videos",))["videos"]
    with understanding(meta):
        return frozenset(_vocabulary(content))


def open_ref_youtube_vos(root: Path, split: str) -> LabelVideos:
    """Open `meta_expressions/SPLIT/meta_expressions.json`, `SPLIT/JPEGImages/VIDEO/`, `SPLIT/Annotations/VIDEO/`.

    Each row of a video is an expression. The split "valid" says neither which object it names nor where that is.

    Raises:
        InputError: where a part of the layout is missing.
    """
    meta = first_existing(
        (
            root / "meta_expressions" / split / "meta_expressions.json",
            root / split / "meta_expressions.json",
        )
    )
    content = read_json(meta, ("videos",))["videos"]
    with understanding(meta):
        videos = [_expressed_video(root / split, name, entry) for name, entry in sorted(content.items())]
    return LabelVideos(f"ref-youtube-vos-{split}", videos)


def _video(folder: Path, name: str, entry: Json, vocabulary: tuple[str, ...]) -> LabelVideo:
    files = open_video(name, folder / "JPEGImages" / name, folder / "Annotations" / name, ())
    position_of = {frame: position for position, frame in enumerate(files.frame_names)}
    objects = tuple(
        LabelledObject(
            int(object_id),
            position_of.get(min(each["frames"]), 0),
            vocabulary.index(each["category"]) if "category" in each else UNKNOWN_CATEGORY,
            each.get("category", ""),
        )
        for object_id, each in sorted(entry["objects"].items(), key=lambda item: int(item[0]))
    )
    return replace(files, objects=objects)


def _expressed_video(folder: Path, name: str, entry: Json) -> LabelVideo:
    expressions = [
        LabelledObject(int(each.get("obj_id", NO_OBJECT)), text=str(each["exp"]), expression_id=expression_id)
        for expression_id, each in sorted(entry["expressions"].items(), key=lambda item: int(item[0]))
    ]
    return open_video(name, folder / "JPEGImages" / name, folder / "Annotations" / name, expressions)


def _vocabulary(videos: Json) -> tuple[str, ...]:
    names = {each["category"] for entry in videos.values() for each in entry["objects"].values() if "category" in each}
    return tuple(sorted(names))
