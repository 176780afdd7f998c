"""Which data set a clip comes from: batches that depend on nothing but (seed, step)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from univs.data.clips import ClipConfig, make_clip
from univs.data.collate import collate
from univs.data.sample import Batch, Sample, Source


@dataclass(frozen=True, slots=True)
class MixtureEntry:
    """One data set of a mixture: its name in the catalog, its share, whether its objects may be pasted."""

    name: str
    weight: float
    is_pasted: bool = False

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weight of {self.name!r} must be positive, got {self.weight}; leave the entry out")


class ClipMixture:
    """Make training batches from several sources.

    A clip depends only on (seed, step, its place in the batch): a run resumed at a step sees the same batches.
    """

    def __init__(
        self, entries: Sequence[tuple[Source, MixtureEntry]], config: ClipConfig, batch_size: int, seed: int
    ) -> None:
        if not entries:
            raise ValueError("a mixture needs at least one data set, got none")
        self._sources = tuple(source for source, _ in entries)
        self._paste_sources = tuple(source for source, entry in entries if entry.is_pasted)
        weights = np.array([entry.weight for _, entry in entries], dtype=np.float64)
        self._shares = weights / weights.sum()
        self._config = config
        self._batch_size = batch_size
        self._seed = seed

    def sample(self, step: int, place: int) -> Sample:
        """Make the clip at one place of the batch of a step."""
        rng = np.random.default_rng([self._seed, step, place])
        source = self._sources[int(rng.choice(len(self._sources), p=self._shares))]
        return make_clip(rng, source, self._paste_sources, self._config)

    def batch(self, step: int) -> Batch:
        """Make the batch of a step."""
        return collate([self.sample(step, place) for place in range(self._batch_size)])

    def batches(self, first_step: int) -> Iterator[Batch]:
        """Make the batches from a step on, without end."""
        step = first_step
        while True:
            yield self.batch(step)
            step += 1
