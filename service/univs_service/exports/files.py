"""What sinks write into: a file that appears when it is whole, a folder or zip archive, pieces for later.

`FileSink` and `FolderSink` are the common part of the sinks that write one file, or many.
"""

import tempfile
import zipfile
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from univs_service.exports.masks import Image
from univs_service.exports.sink import ExportError, FrameOrder
from univs_service.messages import FrameResultEvent


class WholeFile(AbstractContextManager["WholeFile"]):
    """A file that has another name until it is complete, and is removed when it never will be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.partial = path.with_name(f".partial-{path.name}")  # write here; keeps the suffix

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.partial.exists():
            self.partial.replace(self._path)
        else:
            self.partial.unlink(missing_ok=True)


class Pieces(AbstractContextManager["Pieces"]):
    """Texts that grow on disk, one for each key, until the end tells where they belong."""

    def __init__(self, folder: Path) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix=".pieces-", dir=folder)
        self._folder = Path(self._temporary.name)
        self._counts: dict[str | int, int] = {}

    def add(self, key: str | int, text: str, separator: str = ",\n") -> None:
        """Append a text to those of a key, with a separator between two."""
        count = self._counts.get(key, 0)
        with self._file(key).open("a", encoding="utf-8") as file:
            file.write(f"{separator}{text}" if count else text)
        self._counts[key] = count + 1

    def count(self, key: str | int) -> int:
        """How many texts a key has."""
        return self._counts.get(key, 0)

    def copy(self, key: str | int, target: IO[bytes]) -> None:
        """Write all texts of a key to a file; a key without any writes nothing."""
        if key in self._counts:
            with self._file(key).open("rb") as file:
                while block := file.read(1 << 20):
                    target.write(block)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._temporary.cleanup()

    def _file(self, key: str | int) -> Path:
        return self._folder / f"{key}.txt"


class Folder(Protocol):
    """Takes files by name."""

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file for writing; one at a time."""
        ...


class DirectoryFolder:
    """Files of a directory; one that is there already is replaced."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path

    def open(self, name: str) -> IO[bytes]:
        """Open a file for writing."""
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("wb")


class ZipFolder:
    """Files of a zip archive, in a folder of their own in it; pictures are compressed already, texts are deflated."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self._archive = archive
        self._folder = folder

    def open(self, name: str) -> IO[bytes]:
        """Open a file for writing."""
        entry = zipfile.ZipInfo(f"{self._folder}/{name}")
        entry.compress_type = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        return self._archive.open(entry, "w", force_zip64=True)


class _MaskSink(ABC):
    """What the sinks that draw nothing share: frames in rising order, and an end that a failed run does not reach."""

    needs_image = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = ExitStack()
        self._order = FrameOrder()

    def write(self, result: FrameResultEvent, image: Image | None = None) -> None:  # noqa: ARG002
        """Add the masks of one frame."""
        self._order.check(result)
        self._add(result)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._open.__exit__(kind, error, trace)
            return
        with self._open:
            self._end()

    @abstractmethod
    def _add(self, result: FrameResultEvent) -> None:
        """Write one frame, or put it aside in pieces."""

    @abstractmethod
    def _end(self) -> None:
        """Write what comes after the last frame."""


class FileSink(_MaskSink):
    """A sink that writes one text file."""

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            partial = opening.enter_context(WholeFile(self._path)).partial
            self._file: IO[bytes] = opening.enter_context(partial.open("wb"))
            self._pieces = opening.enter_context(Pieces(self._path.parent))
            self._open = opening.pop_all()
        self._begin()
        return self

    def _text(self, text: str) -> None:
        self._file.write(text.encode())

    def _begin(self) -> None:
        """Write what comes before the first frame."""


class FolderSink(_MaskSink):
    """A sink that writes a folder of files: a directory, or a zip archive when the path ends in `.zip`."""

    def __init__(self, path: Path, name: str) -> None:
        """Open nothing yet.

        Args:
            path: of the directory or archive.
            name: of the folder inside an archive.
        """
        super().__init__(path)
        self._name = name

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            if self._path.suffix.lower() == ".zip":
                partial = opening.enter_context(WholeFile(self._path)).partial
                archive = opening.enter_context(zipfile.ZipFile(partial, "w", allowZip64=True))
                self._folder: Folder = ZipFolder(archive, self._name)
            elif self._path.is_file():
                raise ExportError(f"expected the name of a folder, got {self._path}, which is a file; choose another")
            else:
                self._folder = DirectoryFolder(self._path)
            self._pieces = opening.enter_context(Pieces(self._path.parent))
            self._open = opening.pop_all()
        return self

    def _end(self) -> None:
        """Write the files that tell of all frames."""
