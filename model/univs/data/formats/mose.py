"""MOSE: videos with many objects that hide each other; ids in indexed PNG.

Source: Ding et al., "MOSE: A New Dataset for Video Object Segmentation in Complex Scenes", ICCV 2023.
"""

from pathlib import Path

from univs.data.formats.label_videos import LabelVideos, folder_names, open_video


def open_mose(root: Path, split: str) -> LabelVideos:
    """Open `SPLIT/JPEGImages/VIDEO/` and `SPLIT/Annotations/VIDEO/` ("train", "valid").

    Objects are those of the first frame; in "valid" it is the only one annotated.

    Raises:
        InputError: where a part of the layout is missing.
    """
    images, masks = root / split / "JPEGImages", root / split / "Annotations"
    return LabelVideos(
        f"mose-{split}", [open_video(name, images / name, masks / name) for name in folder_names(images)]
    )
