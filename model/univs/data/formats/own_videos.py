"""A folder of one's own videos with masks: a JSON as YouTube-VIS has it, or pictures of object ids as DAVIS has them.

ROOT/instances.json                 videos, categories, annotations; or one for each split
ROOT/JPEGImages/VIDEO/FRAME.jpg     the frames, or where the JSON says
ROOT/Annotations/VIDEO/FRAME.png    without a JSON: ids of objects, 0 is background; frames may be left out
ROOT/ImageSets/SPLIT.txt            names of videos; without it, all of them are in "train"
ROOT/meta.json                      names of objects, if they have some, as YouTube-VOS has it:
    {"videos": {VIDEO: {"objects": {ID: {"category": "dog", "expression": "the dog on the left"}}}}}
"""

from pathlib import Path

from univs.data.formats.json_files import Json, read_json, understanding
from univs.data.formats.label_videos import (
    LabelledObject,
    LabelVideo,
    LabelVideos,
    folder_names,
    object_ids_of,
    open_video,
    read_names,
)
from univs.data.formats.track_videos import TrackVideos
from univs.data.formats.video_json import read_video_json
from univs.data.sample import UNKNOWN_CATEGORY
from univs.errors import InputError

_ALL = "train"  # the split in which videos are that no list names
_RESOLUTIONS = ("480p", "Full-Resolution")


def open_own_videos(root: Path, split: str) -> TrackVideos | LabelVideos:
    """Open the videos of a split; those of "train" where nothing divides them.

    Raises:
        InputError: where a part of either layout is missing or malformed.
    """
    annotation = _annotation(root, split)
    if annotation is not None:
        return read_video_json(annotation, _image_folder(root, split, annotation), f"own-{split}")
    return _open_folders(root, split)


def _annotation(root: Path, split: str) -> Path | None:
    """Find the JSON of a split, if there is one."""
    names = [f"{split}.json", f"{split}/instances.json", f"annotations_{split}.json", f"instances_{split}.json"]
    if split == _ALL:
        names += ["instances.json", "annotations.json"]
    return next((root / name for name in names if (root / name).is_file()), None)


def _image_folder(root: Path, split: str, annotation: Path) -> Path:
    """Find the folder that the file names of a JSON start from."""
    with understanding(annotation):
        names = [
            str(name) for video in read_json(annotation, ("videos",))["videos"] for name in video["file_names"][:1]
        ]
    folders = (root / split / "JPEGImages", root / split, root / "JPEGImages", root / "images", root)
    for folder in folders:
        if all((folder / name).is_file() for name in names[:1]):
            return folder
    raise InputError(
        f"expected {names[0]}, which {annotation} names, in one of {', '.join(str(folder) for folder in folders)}, got "
        "it in none; put the frames there"
    )


def _open_folders(root: Path, split: str) -> LabelVideos:
    images, masks = _folder(root / "JPEGImages"), _folder(root / "Annotations")
    meta = root / "meta.json"
    described: Json = read_json(meta, ("videos",))["videos"] if meta.is_file() else {}
    with understanding(meta):
        objects_of = {name: entry["objects"] for name, entry in described.items()}
        every = (each for objects in objects_of.values() for each in objects.values())
        vocabulary = tuple(sorted({str(each["category"]) for each in every if each.get("category")}))
        videos = [
            _video(name, images, masks, objects_of.get(name, {}), vocabulary) for name in _names(root, split, images)
        ]
    return LabelVideos(f"own-{split}", videos, vocabulary)


def _video(name: str, images: Path, masks: Path, described: Json, vocabulary: tuple[str, ...]) -> LabelVideo:
    """Open a video with the objects of all its annotated frames."""
    files = open_video(name, images / name, masks / name, ())
    first_position: dict[int, int] = {}
    for position, path in enumerate(files.mask_paths):
        for object_id in () if path is None else object_ids_of(path):
            first_position.setdefault(object_id, position)
    if not first_position:
        raise InputError(
            f"expected FRAME.png with ids of the objects of {name!r} in {masks / name}, got none; draw one at least"
        )
    objects = []
    for object_id, position in sorted(first_position.items()):
        said = described.get(str(object_id), {})
        category = str(said.get("category") or "")
        objects.append(
            LabelledObject(
                object_id,
                position,
                vocabulary.index(category) if category else UNKNOWN_CATEGORY,
                str(said.get("expression") or category),
            )
        )
    return LabelVideo(name, files.image_paths, files.mask_paths, tuple(objects))


def _names(root: Path, split: str, images: Path) -> tuple[str, ...]:
    lists = (root / "ImageSets" / f"{split}.txt", root / "ImageSets" / "2017" / f"{split}.txt")
    found = next((path for path in lists if path.is_file()), None)
    if found is not None:
        return read_names(found)
    if split != _ALL or any(path.with_name("val.txt").is_file() for path in lists):
        raise InputError(
            f"expected the names of the videos of split {split!r} in {lists[0]}, got none; write them there"
        )
    names = folder_names(images)
    if not names:
        raise InputError(f"expected folders of frames VIDEO/FRAME.jpg in {images}, got none; put them there")
    return names


def _folder(folder: Path) -> Path:
    """Give the folder of the videos, which may be one deeper, as in DAVIS."""
    return next((folder / each for each in _RESOLUTIONS if (folder / each).is_dir()), folder)
