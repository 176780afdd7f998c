"""A zip file that appears when it is complete, and whose bytes depend on its content only."""

import zipfile
from pathlib import Path
from types import TracebackType
from typing import Self

from univs.errors import InputError

_OLDEST = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can hold
_READABLE = 0o644 << 16


class Archive:
    """Collect files in `PATH.partial`, which becomes `PATH` when the block ends well and is removed otherwise."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial")
        self._zip: zipfile.ZipFile | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._zip = zipfile.ZipFile(self._partial, "w", zipfile.ZIP_DEFLATED)
        return self

    def add(self, name: str, content: bytes) -> None:
        """Add a file.

        Raises:
            InputError: for a name that is already there, or that would leave the folder it is unpacked in.
        """
        assert self._zip is not None, "an archive is written inside its with block"
        parts = name.split("/")
        if name in self._zip.NameToInfo or "\\" in name or any(part in {"", ".", ".."} for part in parts):
            raise InputError(f"expected a new relative file name such as VIDEO/FRAME.png, got {name!r}; name it so")
        entry = zipfile.ZipInfo(name, _OLDEST)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = _READABLE
        self._zip.writestr(entry, content)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._zip is not None
        self._zip.close()
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink()
