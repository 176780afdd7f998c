"""Names of data sets as recipes know them, each with the folder it lies in and the function that opens it."""

from collections.abc import Callable
from pathlib import Path

from univs.data.benchmarks import BENCHMARKS
from univs.data.formats.label_videos import LabelVideos
from univs.data.formats.stills import Clothing, Ecssd
from univs.data.sample import Source
from univs.errors import InputError

# Data sets for training alone: no benchmark evaluates on them.
_OTHERS: dict[str, Callable[[Path, str], Source]] = {
    "ecssd": lambda root, _: Ecssd(root),
    "clothing": lambda root, _: Clothing(root),
}
# Where data sets lie under the data root, unless in a folder of their own name; the first folder that is there.
_FOLDERS: dict[str, tuple[str, ...]] = {
    "coco_instances": ("coco", "coco_mini"),
    "coco_panoptic": ("coco", "coco_mini"),
    "ade20k": ("ADEChallengeData2016",),
    "ade20k_instances": ("ade20k", "ADEChallengeData2016"),
    "ade20k_panoptic": ("ade20k", "ADEChallengeData2016"),
    "davis2017": ("DAVIS",),
    "lvis": ("coco",),
    "ref_davis": ("davis2017", "DAVIS"),
    "refcoco_plus": ("refcoco+",),
}


def source_names() -> tuple[str, ...]:
    """Give the names that `open_source` knows."""
    return tuple(sorted((*BENCHMARKS, *_OTHERS)))


def open_source(name: str, data_root: Path, split: str) -> Source:
    """Open a data set by name, in its usual folder under `data_root`; videos have their annotated frames alone.

    Raises:
        InputError: for an unknown name, or a layout with parts missing.
    """
    if name not in source_names():
        raise InputError(f"expected a data set of {source_names()}, got {name!r}")
    folders = tuple(data_root / folder for folder in (name, *_FOLDERS.get(name, ())))
    root = next((folder for folder in folders if folder.is_dir()), folders[-1])
    if name in _OTHERS:
        return _OTHERS[name](root, split)
    source = BENCHMARKS[name].open_split(root, split)
    return source.annotated() if isinstance(source, LabelVideos) else source
