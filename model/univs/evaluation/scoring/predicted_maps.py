"""Predicted PNG of a split, `VIDEO/FRAME.png` in a folder or a zip, in `Annotations` or not."""

import io
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from univs.errors import InputError

_ROOT = "Annotations"


class PredictedMaps:
    """Read predicted pictures by name."""

    def __init__(self, path: Path) -> None:
        """Open a folder, or a zip.

        Raises:
            InputError: for a path that is neither.
        """
        self._path = path
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            self._root = path / _ROOT if (path / _ROOT).is_dir() else path
        elif zipfile.is_zipfile(path):
            self._zip = zipfile.ZipFile(path)
            self._is_nested = any(name.startswith(f"{_ROOT}/") for name in self._zip.namelist())
        else:
            raise InputError(f"expected a folder or a zip of VIDEO/FRAME.png, got {path}, which is neither")

    def close(self) -> None:
        """Close the zip."""
        if self._zip is not None:
            self._zip.close()

    def read(self, folder: str, frame: str) -> npt.NDArray[np.int64]:
        """Read the labels of a frame, int64 [H, W].

        Args:
            folder: VIDEO, or VIDEO/EXPRESSION.
            frame: its name without the suffix.
        Raises:
            InputError: for a picture that is missing, damaged, or in colour instead of indexed.
        """
        name = f"{folder}/{frame}.png"
        try:
            with Image.open(self._source(name)) as image:
                labels = np.array(image)
        except (OSError, KeyError) as error:
            raise InputError(
                f"expected the prediction {name} in {self._path}, got {error!r}; write every frame"
            ) from error
        if labels.ndim != 2:
            raise InputError(
                f"expected {name} in {self._path} to be indexed or grey, one value per pixel, got {labels.shape}; "
                "save it in mode P or L"
            )
        return labels.astype(np.int64)

    def _source(self, name: str) -> Path | io.BytesIO:
        if self._zip is None:
            return self._root / name
        return io.BytesIO(self._zip.read(f"{_ROOT}/{name}" if self._is_nested else name))
