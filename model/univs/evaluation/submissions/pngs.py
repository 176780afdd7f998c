"""Zips of indexed PNG for YouTube-VOS (and MOSE, DAVIS) and Ref-YouTube-VOS.

`Annotations/VIDEO/FRAME.png` holds object ids; `Annotations/VIDEO/EXPRESSION/FRAME.png` holds 255 on the object.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from univs.errors import InputError
from univs.evaluation.semantic import LabelMap
from univs.evaluation.submissions.archive import Archive
from univs.evaluation.vos import Mask

_ROOT = "Annotations"
_LARGEST_ID = 255
_SHOWN = 5  # missing frames that a message names


@dataclass(frozen=True, slots=True)
class SubmittedFrame:
    """One picture of a submission."""

    folder: str  # VIDEO or VIDEO/EXPRESSION
    frame: str
    labels: npt.NDArray[np.uint8]  # [H, W]


class PngSubmission:
    """Write the pictures of a split, and refuse to finish while some are missing.

    Args:
        path: the zip; it appears when the block ends well.
        frames: names of the frames that the server expects, by folder: VIDEO, or VIDEO/EXPRESSION.
    """

    def __init__(self, path: Path, frames: Mapping[str, tuple[str, ...]]) -> None:
        self._archive = Archive(path)
        self._missing = {(folder, name) for folder, names in frames.items() for name in names}
        self._folders = frozenset(frames)

    def __enter__(self) -> Self:
        self._archive.__enter__()
        return self

    def add_labels(self, folder: str, frame: str, labels: LabelMap) -> None:
        """Add object ids [H, W] of a frame, 0 for background.

        Raises:
            InputError: for an unknown folder, a frame that is already there, or ids outside 0..255.
        """
        if folder not in self._folders:
            raise InputError(f"expected a folder of the split, got {folder!r}; it has {sorted(self._folders)[:_SHOWN]}")
        if labels.ndim != 2 or labels.size == 0 or labels.min() < 0 or labels.max() > _LARGEST_ID:
            raise InputError(
                f"expected object ids 0..{_LARGEST_ID} of axes (height, width), got shape {labels.shape}; "
                "an indexed PNG holds no more: number the objects of a video from 1"
            )
        self._archive.add(f"{_ROOT}/{folder}/{frame}.png", _encode(labels.astype(np.uint8)))
        self._missing.discard((folder, frame))

    def add_mask(self, folder: str, frame: str, mask: Mask) -> None:
        """Add the mask bool [H, W] of an expression.

        Raises:
            InputError: as `add_labels`.
        """
        self.add_labels(folder, frame, mask.astype(np.uint8) * _LARGEST_ID)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._missing:
            problem = InputError(
                f"expected every frame of the split, got none for {len(self._missing)}, first "
                f"{sorted(self._missing)[:_SHOWN]}; add an empty map where no object shows"
            )
            self._archive.__exit__(InputError, problem, None)
            raise problem
        self._archive.__exit__(kind, error, trace)


def read_pngs(path: Path) -> Iterator[SubmittedFrame]:
    """Read the pictures of a submission, in order of their names.

    Raises:
        InputError: for a file that is no zip of `Annotations/VIDEO/FRAME.png`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                root, *folder, file = name.split("/")
                if root != _ROOT or not folder or not file.endswith(".png"):
                    raise InputError(f"expected {_ROOT}/VIDEO/FRAME.png in {path}, got {name!r}; zip that folder alone")
                with Image.open(io.BytesIO(archive.read(name))) as image:
                    yield SubmittedFrame("/".join(folder), file.removesuffix(".png"), np.array(image))
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"expected {path} to be a zip of indexed PNG, got {error!r}; write it again") from error


def _encode(labels: npt.NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(labels)
    image.putpalette(_palette())
    with io.BytesIO() as buffer:
        image.save(buffer, format="PNG")
        return buffer.getvalue()


def _palette() -> bytes:
    """Give the colours of PASCAL VOC, but white for 255: readers that look at brightness see a mask as one.

    Bits 0, 3, 6 of an index are the high bits of red, 1, 4, 7 those of green, 2, 5 those of blue.
    """
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")  # [256, 8]
    weights = np.zeros((8, 3), dtype=np.int64)
    for bit in range(8):
        weights[bit, bit % 3] = 128 >> (bit // 3)
    colours = (bits @ weights).astype(np.uint8)
    colours[255] = 255
    return colours.tobytes()
