"""DAVIS 2017: several objects a clip, ids in indexed PNG; and Ref-DAVIS, its expressions.

Source: Pont-Tuset et al., 2017; expressions: Khoreva et al., "Video Object Segmentation with Language Referring
Expressions", 2018.
"""

from dataclasses import replace
from pathlib import Path

from univs.data.formats.json_files import first_existing
from univs.data.formats.label_videos import LabelledObject, LabelVideo, LabelVideos, open_video, read_names
from univs.errors import InputError

RESOLUTIONS = ("480p", "Full-Resolution")  # the official one first


def open_davis2017(root: Path, split: str) -> LabelVideos:
    """Open `ImageSets/2017/SPLIT.txt`, `JPEGImages/480p/CLIP/`, `Annotations/480p/CLIP/` ("train", "val", "test-dev").

    Objects are those of the first frame; in "test-dev" it is the only one annotated.

    Raises:
        InputError: where a part of the layout is missing.
    """
    names = read_names(root / "ImageSets" / "2017" / f"{split}.txt")
    resolution = first_existing(tuple(root / "JPEGImages" / name for name in RESOLUTIONS)).name
    videos = [
        open_video(name, root / "JPEGImages" / resolution / name, root / "Annotations" / resolution / name)
        for name in names
    ]
    return LabelVideos(f"davis2017-{split}", videos)


def open_ref_davis(root: Path, split: str, annotator: int = 1) -> LabelVideos:
    """Open DAVIS 2017 with the expressions of one annotator, from `davis_text_annotations/Davis17_annotN.txt`.

    Args:
        root: folder of DAVIS 2017, the text annotations in it or beside it.
        split: "train" or "val".
        annotator: 1 or 2 (who saw the first frame), 3 or 4 (the same two, who saw the full video).
    Raises:
        InputError: where a part of the layout is missing, or an object has no expression.
    """
    number, suffix = (annotator, "") if annotator <= 2 else (annotator - 2, "_full_video")
    name = Path("davis_text_annotations") / f"Davis17_annot{number}{suffix}.txt"
    texts = _read_expressions(first_existing((root / name, root.parent / name)))
    videos = []
    for video in open_davis2017(root, split).videos:
        named = tuple(
            LabelledObject(each.object_id, 0, text=_text(texts, video, each.object_id), expression_id=str(row))
            for row, each in enumerate(video.objects)
        )
        videos.append(replace(video, objects=named))
    return LabelVideos(f"ref-davis-{split}-{annotator}", videos)


def _read_expressions(path: Path) -> dict[tuple[str, int], str]:
    """Read lines of CLIP OBJECT "EXPRESSION"; the files hold some bytes of other encodings than UTF-8."""
    texts = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.strip():
            continue
        parts = line.split(maxsplit=2)
        if len(parts) != 3 or not parts[1].isdigit():
            raise InputError(f'expected lines of CLIP OBJECT "EXPRESSION" in {path}, got {line!r}; download it again')
        texts[parts[0], int(parts[1])] = parts[2].strip().strip('"').strip()
    return texts


def _text(texts: dict[tuple[str, int], str], video: LabelVideo, object_id: int) -> str:
    if (video.name, object_id) not in texts:
        raise InputError(
            f"expected an expression for object {object_id} of clip {video.name!r}, got none; "
            "take the text annotations of DAVIS 2017, not 2016"
        )
    return texts[video.name, object_id]
