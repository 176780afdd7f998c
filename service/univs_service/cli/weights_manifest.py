"""`weights/manifest.json`: which checkpoints ship, what they were made from, and what was measured of them."""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from univs_service.cli.eval_record import VosRecord

MANIFEST_FILE = "manifest.json"
_CHUNK_BYTES = 1 << 20


class WeightsEntry(BaseModel):
    """One checkpoint that ships."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    file: str  # beside the manifest
    num_bytes: int
    file_sha256: str  # as `sha256sum` gives it
    content_sha256: str  # of tensors and config: what answers of the service and figures name
    recipe: str  # beside the manifest: every setting of the run
    num_steps: int
    train_minutes: float  # on the machine that trained it
    data: tuple[str, ...]
    licence: str
    figures: tuple[VosRecord, ...]


class Manifest(BaseModel):
    """All checkpoints that ship, and the baselines that their figures are held against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: tuple[WeightsEntry, ...] = ()
    baselines: tuple[VosRecord, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the manifest of a folder; an empty one where there is none yet."""
        path = folder / MANIFEST_FILE
        return cls.model_validate_json(path.read_bytes()) if path.is_file() else cls()

    def write(self, folder: Path) -> None:
        """Write the manifest into a folder that exists."""
        (folder / MANIFEST_FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def entry(self, name: str) -> WeightsEntry | None:
        """Find a checkpoint by name."""
        return next((entry for entry in self.weights if entry.name == name), None)

    def with_entry(self, entry: WeightsEntry) -> "Manifest":
        """Give a manifest in which a checkpoint is added, or replaced."""
        others = [other for other in self.weights if other.name != entry.name]
        return self.model_copy(update={"weights": tuple(sorted([*others, entry], key=lambda one: one.name))})

    def with_baselines(self, records: tuple[VosRecord, ...]) -> "Manifest":
        """Give a manifest in which figures of baselines are added, or replaced where they measure the same."""
        fresh = {_measured(record) for record in records}
        kept = [record for record in self.baselines if _measured(record) not in fresh]
        return self.model_copy(update={"baselines": tuple(sorted([*kept, *records], key=_measured))})


def sha256_of_file(path: Path) -> str:
    """Hash a file's bytes, as `sha256sum` does."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _measured(record: VosRecord) -> tuple[str, str, str, str]:
    return (record.subject, record.data, record.split, record.prompt)
