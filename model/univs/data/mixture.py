"""Which data set a clip comes from: batches that depend on nothing but (seed, step)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from univs.data.clips import ClipConfig, make_clip
from univs.data.collate import collate
from univs.data.sample import Batch, Sample, Source
from univs.data.stage_clips import StageClipConfig, make_stage_clip

_SOURCE_STREAM = 1 << 21  # keeps the draw of a batch's data set apart from those of its clips


@dataclass(frozen=True, slots=True)
class MixtureEntry:
    """One data set of a mixture: its name in the catalog, its share, whether its objects may be pasted."""

    name: str
    weight: float
    is_pasted: bool = False

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weight of {self.name!r} must be positive, got {self.weight}; leave the entry out")


class Batches(Protocol):
    """What makes the batch of every step, and depends on nothing but the step."""

    def batch(self, step: int) -> Batch:
        """Make the batch of a step."""
        ...

    def of_process(self, rank: int) -> "Batches":
        """Give what makes the share of one of several processes: a batch of its own."""
        ...


class ClipMixture:
    """Make training batches from several sources.

    A clip depends only on (seed, step, its place in the batch): a run resumed at a step sees the same batches.
    """

    def __init__(
        self,
        entries: Sequence[tuple[Source, MixtureEntry]],
        config: ClipConfig,
        batch_size: int,
        seed: int,
        first_place: int = 0,
    ) -> None:
        if not entries:
            raise ValueError("a mixture needs at least one data set, got none")
        self._entries = tuple(entries)
        self._sources = tuple(source for source, _ in entries)
        self._paste_sources = tuple(source for source, entry in entries if entry.is_pasted)
        self._shares = _shares(entries)
        self._config = config
        self._batch_size = batch_size
        self._seed = seed
        self._first_place = first_place

    def sample(self, step: int, place: int) -> Sample:
        """Make the clip at one place of the batch of a step."""
        rng = np.random.default_rng([self._seed, step, place])
        source = self._sources[int(rng.choice(len(self._sources), p=self._shares))]
        return make_clip(rng, source, self._paste_sources, self._config)

    def batch(self, step: int) -> Batch:
        """Make the batch of a step."""
        places = range(self._first_place, self._first_place + self._batch_size)
        return collate([self.sample(step, place) for place in places])

    def of_process(self, rank: int) -> "ClipMixture":
        """Give the mixture that makes the places of one of several processes."""
        first = rank * self._batch_size
        return ClipMixture(self._entries, self._config, self._batch_size, self._seed, first)

    def batches(self, first_step: int) -> Iterator[Batch]:
        """Make the batches from a step on, without end."""
        step = first_step
        while True:
            yield self.batch(step)
            step += 1


class StageMixture:
    """Make batches of the training stages: all clips of a batch come from one data set.

    What a clip shows depends only on (seed, step, its place); the processes of a run draw their data sets apart.
    """

    def __init__(
        self,
        entries: Sequence[tuple[Source, MixtureEntry]],
        config: StageClipConfig,
        batch_size: int,
        seed: int,
        first_place: int = 0,
    ) -> None:
        if not entries:
            raise ValueError("a mixture needs at least one data set, got none")
        self._entries = tuple(entries)
        self._shares = _shares(entries)
        self._config = config
        self._batch_size = batch_size
        self._seed = seed
        self._first_place = first_place

    def batch(self, step: int) -> Batch:
        """Make the batch of a step."""
        rng = np.random.default_rng([self._seed, step, _SOURCE_STREAM, self._first_place])
        source, _ = self._entries[int(rng.choice(len(self._entries), p=self._shares))]
        places = range(self._first_place, self._first_place + self._batch_size)
        return collate(
            [
                make_stage_clip(np.random.default_rng([self._seed, step, place]), source, self._config)
                for place in places
            ]
        )

    def of_process(self, rank: int) -> "StageMixture":
        """Give the mixture that makes the places of one of several processes."""
        first = rank * self._batch_size
        return StageMixture(self._entries, self._config, self._batch_size, self._seed, first)


def _shares(entries: Sequence[tuple[Source, MixtureEntry]]) -> npt.NDArray[np.float64]:
    """Give each data set its probability."""
    weights = np.array([entry.weight for _, entry in entries], dtype=np.float64)
    return np.asarray(weights / weights.sum())
