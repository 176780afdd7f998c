"""VIPOSeg: things and stuff to follow through videos; new ones are given along the way.

Source: Xu et al., "Video Object Segmentation in Panoptic Wild Scenes", IJCAI 2023. The lists of classes are those of
its evaluator; ids are rows of VIPSeg's vocabulary.
"""

from dataclasses import dataclass
from pathlib import Path

from univs import vocabularies
from univs.data.formats.json_files import read_json
from univs.data.formats.label_videos import LabelledObject, LabelVideos, folder_names, object_ids_of, open_video
from univs.errors import InputError

_UNSEEN_THINGS = frozenset({46, 47, 55, 61, 64, 72, 86, 95, 96, 97, 99, 100, 101, 102, 109, 116, 118})
_UNSEEN_STUFF = frozenset({5, 6, 9, 17, 20, 25, 26, 34, 38, 57, 58, 71, 81, 94, 112, 113, 120})
# fmt: off
_SEEN_THINGS = frozenset({
    2, 4, 8, 10, 41, 43, 44, 48, 49, 50, 51, 52, 54, 56, 60, 62, 63, 65, 74, 76, 77, 78, 79, 82, 83, 84, 85, 87, 88, 89,
    90, 91, 92, 106, 107, 108, 114, 115, 117, 122, 123,
})
# fmt: on
_OTHER_MACHINE = 98  # stuff that is seen but in the videos below
_UNSEEN_MACHINE_VIDEOS = frozenset(
    {
        "187_WUZUSD4477I",
        "319_l1Dz12fxQzQ",
        "320_nhKXemkIvh4",
        "517_AWvYuplla_s",
        "532_QmZyJuLlEec",
        "774_devdFjIpDcc",
        "1016_HG0AsTOxI5g",
        "1017_IAU0WGB9VPw",
        "1020_TgCIv6bp3XM",
        "1021_cPOxAMo28yk",
        "1022_emSaDd2ddj0",
        "1033_sh81AwYuihg",
        "1065_d2sHRyAHKqI",
        "1067_fk3jhxBi1pA",
        "1068_gxnZkf0LQfk",
        "1069_jFHRbZxswz8",
        "1070_uTJB31tuYes",
        "1072_zvNEdUk5k0Q",
        "1230_AGY-gQ_3O8Y",
        "1333__iprMPKLdOQ",
        "1334_qlmfvYA3_rk",
        "2004_1btxeVbyojs",
        "2005_83KrhWajwfw",
    }
)


@dataclass(frozen=True, slots=True)
class TargetKind:
    """To which of the four groups an object belongs."""

    is_thing: bool
    is_seen: bool  # whether its class occurs in the training split


def open_viposeg(root: Path, split: str) -> LabelVideos:
    """Open `SPLIT/JPEGImages/VIDEO/`, `SPLIT/Annotations/VIDEO/`, `SPLIT/obj_class.json` ("train", "valid").

    `Annotations` holds the frames in which objects are given; `Annotations_gt`, where it is there, all frames.

    Raises:
        InputError: where a part of the layout is missing.
    """
    folder = root / split
    classes = read_json(folder / "obj_class.json", ())
    complete = folder / "Annotations_gt"
    vocabulary = vocabularies.load("vipseg").names
    videos = []
    for name in folder_names(folder / "JPEGImages"):
        given = open_video(name, folder / "JPEGImages" / name, folder / "Annotations" / name, ())
        first_position: dict[int, int] = {}
        for position, path in enumerate(given.mask_paths):
            for object_id in () if path is None else object_ids_of(path):
                first_position.setdefault(object_id, position)
        objects = []
        for object_id, position in sorted(first_position.items()):
            category = classes.get(name, {}).get(str(object_id))
            if category is None or not 0 <= int(category) < len(vocabulary):
                raise InputError(
                    f"expected the class of object {object_id} of video {name!r} in {folder / 'obj_class.json'}, got "
                    f"{category}; take the file of this split"
                )
            objects.append(LabelledObject(object_id, position, int(category), vocabulary[int(category)]))
        masks = (complete if complete.is_dir() else folder / "Annotations") / name
        videos.append(open_video(name, folder / "JPEGImages" / name, masks, objects))
    return LabelVideos(f"viposeg-{split}", videos, vocabulary)


def kind_of(video: str, category_id: int) -> TargetKind:
    """Say whether an object of a video is a thing, and whether its class is seen in training."""
    if category_id == _OTHER_MACHINE:
        return TargetKind(is_thing=False, is_seen=video not in _UNSEEN_MACHINE_VIDEOS)
    return TargetKind(
        is_thing=category_id in _SEEN_THINGS | _UNSEEN_THINGS,
        is_seen=category_id not in _UNSEEN_THINGS | _UNSEEN_STUFF,
    )
