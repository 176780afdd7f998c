"""Weights of the operator's own, in one folder: found by the name of their file while the worker runs.

A file that appears is offered with the next look, one that is replaced is loaded anew for the next session, one that is
gone is offered no more. Looking reads names, sizes and times; the head of a file is read once.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from univs import weights
from univs.companions import is_companion
from univs.errors import WeightsError
from univs_service.messages import ModelInfo
from univs_service.settings import Settings
from univs_service.worker.engine import Engine

logger = logging.getLogger(__name__)

Stamp = tuple[int, int]  # time of the last change in ns, bytes


@dataclass(frozen=True, slots=True)
class Offer:
    """A file that a session may ask for by its name."""

    name: str
    path: Path
    stamp: Stamp
    model_info: ModelInfo


class WeightsFolder:
    """What lies in the folder now."""

    def __init__(self, folder: Path, taken_names: Collection[str] = ()) -> None:
        """Watch a folder, which need not exist.

        Args:
            folder: holds NAME.safetensors, and what may lie beside them.
            taken_names: names of other weights; files of these names are left out.
        """
        self._folder = folder
        self._taken = frozenset(taken_names)
        self._seen: dict[Path, tuple[Stamp, Offer | None]] = {}  # None for a file that cannot be used

    def offers(self) -> dict[str, Offer]:
        """Look again, and give what can be used by its name."""
        self._seen = {path: self._look(path, stamp) for path, stamp in self._files()}
        return {offer.name: offer for _, offer in self._seen.values() if offer is not None}

    def _files(self) -> list[tuple[Path, Stamp]]:
        found = []
        for path in sorted(self._folder.glob("*.safetensors")):
            if is_companion(path):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:  # gone since it was listed
                continue
            found.append((path, (status.st_mtime_ns, status.st_size)))
        return found

    def _look(self, path: Path, stamp: Stamp) -> tuple[Stamp, Offer | None]:
        known = self._seen.get(path)
        if known is not None and known[0] == stamp:
            return known
        name = path.stem
        if name in self._taken:
            logger.warning("weights left out", extra={"path": str(path), "reason": f"another model is named {name!r}"})
            return stamp, None
        try:
            model, info = weights.outline(path)
            classes = weights.load_classes(path) if info.is_trained else None
        except (WeightsError, OSError) as error:
            logger.warning("weights left out", extra={"path": str(path), "reason": str(error)})
            return stamp, None
        described = Engine(model, info, classes=classes).model_info
        named = described.weights.model_copy(update={"name": name})
        return stamp, Offer(
            name, path, stamp, described.model_copy(update={"name": name, "weights": named, "is_own": True})
        )


def resolved(settings: Settings) -> Settings:
    """Turn the name of weights in the operator's folder into their path; other names and paths stay."""
    path = settings.own_weights / f"{settings.model}.safetensors"
    is_own = Path(settings.model).name == settings.model and path.is_file()
    return settings.model_copy(update={"model": str(path)}) if is_own else settings
