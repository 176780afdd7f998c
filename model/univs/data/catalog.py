"""Names of data sets as a command line knows them, each with the function that opens it."""

from collections.abc import Callable
from pathlib import Path

from univs.data.formats.coco import CocoInstances, CocoPanoptic
from univs.data.formats.davis import Davis2016
from univs.data.formats.stills import Clothing, Ecssd
from univs.data.sample import Source
from univs.errors import InputError

# Name -> (folder under the data root, reader of that folder and split).
_SOURCES: dict[str, tuple[str, Callable[[Path, str], Source]]] = {
    "davis2016": ("davis2016", Davis2016),
    "coco_instances": ("coco_mini", CocoInstances),
    "coco_panoptic": ("coco_mini", CocoPanoptic),
    "ecssd": ("ecssd", lambda root, _: Ecssd(root)),
    "clothing": ("clothing", lambda root, _: Clothing(root)),
}


def source_names() -> tuple[str, ...]:
    """Give the names that `open_source` knows."""
    return tuple(_SOURCES)


def open_source(name: str, data_root: Path, split: str) -> Source:
    """Open a data set by name, in its usual folder under `data_root`.

    Raises:
        InputError: for an unknown name, or a layout with parts missing.
    """
    if name not in _SOURCES:
        raise InputError(f"expected a data set of {source_names()}, got {name!r}")
    folder, reader = _SOURCES[name]
    return reader(data_root / folder, split)
