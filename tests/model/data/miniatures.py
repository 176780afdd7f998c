"""Miniature copies of benchmarks in their official layouts: a video or two, three frames of 12 x 16 pixels.

In frame T object 1 covers rows 2-5 from column 1 + T on, four columns wide; object 2, from frame 1 on, rows 7-10.
"""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from univs import rle

HEIGHT, WIDTH, NUM_FRAMES = 12, 16, 3
FRAMES = ("00000", "00005", "00010")
VIDEOS = ("0a", "1b")


def label_map(frame: int) -> npt.NDArray[np.uint8]:
    """Draw the objects of a frame: uint8 [H, W]."""
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    labels[2:6, 1 + frame : 5 + frame] = 1
    if frame:
        labels[7:11, 8:12] = 2
    return labels


def write_image(path: Path) -> None:
    """Write a grey picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)).save(path)


def write_labels(path: Path, labels: npt.NDArray[np.uint8]) -> None:
    """Write a label map as indexed PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels).convert("P")
    image.save(path)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_davis2017(root: Path) -> None:
    """Split "val"; both objects show in the first frame."""
    for frame, name in enumerate(FRAMES):
        write_image(root / "JPEGImages" / "480p" / "goat" / f"{name}.jpg")
        write_labels(root / "Annotations" / "480p" / "goat" / f"{name}.png", label_map(frame + 1))
    names = root / "ImageSets" / "2017" / "val.txt"
    names.parent.mkdir(parents=True)
    names.write_text("goat\n", encoding="utf-8")


def write_ref_davis(root: Path) -> None:
    """DAVIS 2017 with two annotators, one of whom saw the full video."""
    write_davis2017(root)
    folder = root / "davis_text_annotations"
    folder.mkdir()
    (folder / "Davis17_annot1.txt").write_text('goat 1 "a goat"\n\ngoat 2  "a grey stone"\n', encoding="utf-8")
    (folder / "Davis17_annot1_full_video.txt").write_bytes(b'goat 1 "a goat\x92s head"\ngoat 2 "stone"\n')


def write_youtube_vos(root: Path) -> None:
    """Splits "train" and "valid"; in "valid" an object is annotated where it first shows."""
    for split, categories in (("train", ("ape", "bird")), ("valid", ("bird", "yak"))):
        objects = {
            "1": {"category": categories[0], "frames": list(FRAMES)},
            "2": {"category": categories[1], "frames": list(FRAMES[1:])},
        }
        for video in VIDEOS:
            for frame, name in enumerate(FRAMES):
                write_image(root / split / "JPEGImages" / video / f"{name}.jpg")
                if split == "train" or frame < 2:
                    write_labels(root / split / "Annotations" / video / f"{name}.png", label_map(frame))
        write_json(root / split / "meta.json", {"videos": {video: {"objects": objects} for video in VIDEOS}})


def write_ref_youtube_vos(root: Path) -> None:
    """Splits "train" and "valid"; "valid" has expressions alone."""
    for split in ("train", "valid"):
        entry: dict[str, Any] = {"frames": list(FRAMES), "expressions": {}}
        for number, text in enumerate(("a grey goat", "the goat on the left", "a stone")):
            entry["expressions"][str(number)] = {"exp": text}
            if split == "train":
                entry["expressions"][str(number)]["obj_id"] = "2" if number == 2 else "1"
        for frame, name in enumerate(FRAMES):
            write_image(root / split / "JPEGImages" / "0a" / f"{name}.jpg")
            if split == "train":
                write_labels(root / split / "Annotations" / "0a" / f"{name}.png", label_map(frame))
        write_json(root / "meta_expressions" / split / "meta_expressions.json", {"videos": {"0a": entry}})


def write_mose(root: Path) -> None:
    """Split "valid", with the first frame's annotation."""
    for name in FRAMES:
        write_image(root / "valid" / "JPEGImages" / "0a" / f"{name}.jpg")
    write_labels(root / "valid" / "Annotations" / "0a" / "00000.png", label_map(1))


def write_viposeg(root: Path) -> None:
    """Split "valid": object 1 is given in the first frame, object 2 in the second."""
    folder = root / "valid"
    for frame, name in enumerate(FRAMES):
        write_image(folder / "JPEGImages" / "0a" / f"{name}.jpg")
        write_labels(folder / "Annotations_gt" / "0a" / f"{name}.png", label_map(frame))
        given = label_map(frame)
        given[given != frame + 1] = 0
        if frame < 2:
            write_labels(folder / "Annotations" / "0a" / f"{name}.png", given)
    write_json(folder / "obj_class.json", {"0a": {"1": 60, "2": 9}})


def write_video_json(root: Path) -> None:
    """Splits "train", with tracks, and "valid", without, as YouTube-VIS 2021 unpacks."""
    videos = [
        {"id": number, "width": WIDTH, "height": HEIGHT, "file_names": [f"{video}/{name}.jpg" for name in FRAMES]}
        for number, video in enumerate(VIDEOS, start=1)
    ]
    annotations = [
        {"id": 1, "video_id": 1, "category_id": 5, "iscrowd": 0, "segmentations": [_encoded(1, t) for t in range(3)]},
        {"id": 2, "video_id": 1, "category_id": 2, "iscrowd": 0, "segmentations": [_runs(2, t) for t in range(3)]},
        {"id": 3, "video_id": 1, "category_id": 2, "iscrowd": 1, "segmentations": [None, None, [[0, 0, 3, 0, 3, 3]]]},
    ]
    categories = [{"id": 5, "name": "goat"}, {"id": 2, "name": "stone"}]
    for split in ("train", "valid"):
        content = {"videos": videos, "categories": categories, "annotations": annotations}
        write_json(root / split / "instances.json", content if split == "train" else {**content, "annotations": None})
        for video in VIDEOS:
            for name in FRAMES:
                write_image(root / split / "JPEGImages" / video / f"{name}.jpg")


def write_burst(root: Path) -> None:
    """Split "val": one video of a collection, one class verified absent, one incomplete."""
    frames = [
        {str(number): {"rle": mask["counts"], "is_gt": True} for number in (1, 2) if (mask := _encoded(number, t))}
        for t in range(3)
    ]
    sequence = {
        "id": 7,
        "width": WIDTH,
        "height": HEIGHT,
        "dataset": "LaSOT",
        "seq_name": "goat-1",
        "fps": 30,
        "all_image_paths": ["00000.jpg", "00002.jpg", "00005.jpg", "00010.jpg"],
        "annotated_image_paths": [f"{name}.jpg" for name in FRAMES],
        "neg_category_ids": [90],
        "not_exhaustive_category_ids": [5],
        "track_category_ids": {"1": 5, "2": 44},
        "segmentations": frames,
    }
    categories = [{"id": number, "name": name} for number, name in ((44, "stone"), (5, "goat"), (90, "yak"))]
    content = {"sequences": [sequence], "categories": categories, "split": "val"}
    write_json(root / "annotations" / "val" / "all_classes.json", content)
    write_json(root / "annotations" / "info" / "class_split.json", {"common": [5], "uncommon": [44, 90]})
    for name in (*FRAMES, "00002"):
        write_image(root / "frames" / "val" / "LaSOT" / "goat-1" / f"{name}.jpg")


def write_vipseg(root: Path) -> None:
    """Split "val": a thing, a stuff region, and void."""
    categories = [{"id": 3, "name": "goat", "isthing": 1}, {"id": 0, "name": "rock", "isthing": 0}]
    segments = [
        {"id": 300, "category_id": 3, "iscrowd": 0, "area": 16},
        {"id": 70000, "category_id": 0, "iscrowd": 0, "area": 16},
    ]
    annotations = []
    for frame, name in enumerate(FRAMES):
        write_image(root / "images" / "0a" / f"{name}.jpg")
        ids = np.array([0, 300, 70000])[label_map(frame)]
        colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
        path = root / "panomasksRGB" / "0a" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(colours).save(path)
        annotations.append({"file_name": f"{name}.png", "segments_info": segments if frame else segments[:1]})
    videos = [{"video_id": "0a", "images": [{"id": name, "file_name": f"{name}.png"} for name in FRAMES]}]
    content = {"videos": videos, "annotations": [{"video_id": "0a", "annotations": annotations}]}
    write_json(root / "panoptic_gt_VIPSeg_val.json", {**content, "categories": categories})


def write_vspw(root: Path) -> None:
    """Split "val": classes 1 and 2, void as 0 and as 255."""
    for frame, name in enumerate(FRAMES):
        write_image(root / "data" / "0a" / "origin" / f"{name}.jpg")
        labels = label_map(frame)
        labels[0] = 255
        write_labels(root / "data" / "0a" / "mask" / f"{name}.png", labels)
    write_json(root / "label_num_dic_final.json", {"others": 0, "wall": 1, "goat": 2, "yak": 3})
    (root / "val.txt").write_text("0a\n", encoding="utf-8")


def write_coco(root: Path) -> None:
    """Split "val2017": a goat and a stone in picture 1, a crowd of goats in picture 2, nothing in picture 3."""
    categories = [{"id": 9, "name": "goat", "isthing": 1}, {"id": 4, "name": "stone", "isthing": 0}]
    images = [{"id": n, "height": HEIGHT, "width": WIDTH, "file_name": f"{n:012}.jpg"} for n in (2, 1, 3)]
    for image in images:
        write_image(root / "val2017" / str(image["file_name"]))
    labels = label_map(1)
    instances = [
        {"id": n, "image_id": image, "category_id": category, "iscrowd": crowd, "area": 16, "segmentation": mask}
        for n, image, category, crowd, mask in (
            (1, 1, 9, 0, [[2, 2, 6, 2, 6, 6, 2, 6]]),
            (2, 1, 4, 0, _encoded(2, 1)),
            (3, 2, 9, 1, _runs(1, 1)),
        )
    ]
    content = {"images": images, "categories": categories}
    write_json(root / "annotations" / "instances_val2017.json", {**content, "annotations": instances})
    segments = [{"id": n, "category_id": category, "iscrowd": 0} for n, category in ((1, 9), (2, 4))]
    panoptic = []
    for image in images[:2]:
        name = f"{image['id']:012}.png"
        path = root / "annotations" / "panoptic_val2017" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.stack([labels, 0 * labels, 0 * labels], axis=-1)).save(path)
        panoptic.append({"image_id": image["id"], "file_name": name, "segments_info": segments})
    write_json(root / "annotations" / "panoptic_val2017.json", {**content, "annotations": panoptic})


def write_ade20k(root: Path) -> None:
    """Split "validation": classes 1 and 2, void as 0."""
    write_image(root / "images" / "validation" / "ADE_val_00000001.jpg")
    write_labels(root / "annotations" / "validation" / "ADE_val_00000001.png", label_map(1))


def write_ade20k_segments(root: Path) -> None:
    """Split "validation": a wall (class 1), in it two beds (class 8, number 1) and a window (class 9, number 2).

    Object 1 of frame 1 is a bed, object 2 the window; a second bed has two pixels in the last row.
    """
    instances = label_map(1)
    instances[11, :2] = 3
    numbers = np.array([0, 1, 2, 1], dtype=np.uint8)[instances]
    colours = np.stack([numbers, instances, 0 * instances], axis=-1)
    path = root / "annotations_instance" / "validation" / "ADE_val_00000001.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(colours).save(path)
    labels = np.array([1, 8, 9, 8], dtype=np.uint8)[instances]
    labels[0] = 0
    write_labels(root / "annotations" / "validation" / "ADE_val_00000001.png", labels)
    write_image(root / "images" / "validation" / "ADE_val_00000001.jpg")
    (root / "categoryMapping.txt").write_text("Ins_id\tSem_id\tname\n1\t8\tbed\n2\t9\twindowpane\n", encoding="utf-8")


def write_lvis(root: Path) -> None:
    """Split "val": one picture of COCO with a goat."""
    write_image(root / "val2017" / "000000000007.jpg")
    image = {"id": 7, "height": HEIGHT, "width": WIDTH, "coco_url": "http://images/val2017/000000000007.jpg"}
    content = {
        "images": [{**image, "neg_category_ids": [3], "not_exhaustive_category_ids": [2]}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 2, "area": 16, "segmentation": [[2, 2, 6, 2, 6, 6, 2, 6]]}
        ],
        "categories": [{"id": n, "name": name, "frequency": "f"} for n, name in ((3, "yak"), (2, "goat"))],
    }
    write_json(root / "lvis_v1_val.json", content)


def write_refcoco(root: Path) -> None:
    """Splits "train" and "val": a goat with two sentences and a stone with one; the pickle as Python 2 wrote it."""
    names = ("COCO_train2014_000000000001.jpg", "COCO_train2014_000000000002.jpg")
    for name in names:
        write_image(root / "train2014" / name)
    images = [{"id": n, "height": HEIGHT, "width": WIDTH, "file_name": name} for n, name in enumerate(names, start=1)]
    annotations = [
        {"id": 10 * image + n, "image_id": image, "category_id": n + 3, "iscrowd": 0, "segmentation": _encoded(n, 1)}
        for image in (1, 2)
        for n in (1, 2)
    ]
    categories = [{"id": 4, "name": "goat"}, {"id": 5, "name": "stone"}]
    write_json(root / "instances.json", {"images": images, "annotations": annotations, "categories": categories})
    said = {1: ("the goat on the left", "grey goat"), 2: ("a stone",)}
    refs = [
        {
            "ref_id": 10 * image + n,
            "ann_id": 10 * image + n,
            "category_id": n + 3,
            "image_id": image,
            "split": split,
            "sentences": [
                {"sent_id": 0, "raw": text.title(), "sent": text, "tokens": text.split()} for text in said[n]
            ],
        }
        for image, split in ((1, "train"), (2, "val"))
        for n in (1, 2)
    ]
    (root / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=0))


def write_sa1b(root: Path) -> None:
    """Two pictures in the folder of an archive, each with two regions."""
    for number in (20, 3):
        write_image(root / "sa_000000" / f"sa_{number}.jpg")
        image = {"image_id": number, "height": HEIGHT, "width": WIDTH, "file_name": f"sa_{number}.jpg"}
        annotations = [{"id": n, "area": 16, "predicted_iou": 0.9, "segmentation": _encoded(n, 1)} for n in (1, 2)]
        write_json(root / "sa_000000" / f"sa_{number}.json", {"image": image, "annotations": annotations})


def write_own_videos(root: Path) -> None:
    """One video whose second frame is not annotated; object 2 comes in the third, and has a name."""
    for frame, name in enumerate(FRAMES):
        write_image(root / "JPEGImages" / "goat" / f"{name}.jpg")
        if frame != 1:
            write_labels(root / "Annotations" / "goat" / f"{name}.png", label_map(frame))
    said = {"2": {"category": "stone", "expression": "the stone below"}}
    write_json(root / "meta.json", {"videos": {"goat": {"objects": said}}})


def write_camvid(root: Path) -> None:
    """Split "val": classes 0, 1 and 2, the first row void."""
    labels = label_map(1)
    labels[0] = 11
    write_image(root / "val" / "0016E5_07959.png")
    write_labels(root / "valannot" / "0016E5_07959.png", labels)


MINIATURES: dict[str, Callable[[Path], None]] = {
    "ade20k": write_ade20k,
    "ade20k_instances": write_ade20k_segments,
    "ade20k_panoptic": write_ade20k_segments,
    "burst": write_burst,
    "camvid": write_camvid,
    "coco_instances": write_coco,
    "coco_panoptic": write_coco,
    "davis2017": write_davis2017,
    "lvis": write_lvis,
    "mose": write_mose,
    "ovis": write_video_json,
    "own_videos": write_own_videos,
    "ref_davis": write_ref_davis,
    "ref_youtube_vos": write_ref_youtube_vos,
    "refcoco": write_refcoco,
    "refcoco_plus": write_refcoco,
    "refcocog": write_refcoco,
    "sa1b": write_sa1b,
    "viposeg": write_viposeg,
    "vipseg": write_vipseg,
    "vspw": write_vspw,
    "youtube_vos2018": write_youtube_vos,
    "ytvis2019": write_video_json,
    "ytvis2021": write_video_json,
}


# Data sets on which nothing is evaluated.
TRAINED_ON_ALONE = frozenset({"sa1b"})
# Data sets for which no server takes predictions.
WITHOUT_SERVER = frozenset({"davis2016", "own_videos", "refcoco", "refcoco_plus", "refcocog"})


def _encoded(number: int, frame: int) -> dict[str, Any] | None:
    """Encode an object as text; None where it does not show."""
    mask = label_map(frame) == number
    return {"size": [HEIGHT, WIDTH], "counts": rle.encode(mask).counts} if mask.any() else None


def _runs(number: int, frame: int) -> dict[str, Any] | None:
    """Encode an object as numbers, column by column, zeros first."""
    column_major = (label_map(frame) == number).flatten(order="F")
    if not column_major.any():
        return None
    borders = np.flatnonzero(np.diff(column_major.astype(np.int8))) + 1
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *borders.tolist(), column_major.size]).tolist()}
