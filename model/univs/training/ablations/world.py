"""What the variants of an ablation are trained on and measured by: the same for all rows."""

from dataclasses import dataclass

from univs.data.mixture import ClipMixture
from univs.data.sample import Source
from univs.data.shapes import STUFF, THINGS, MovingShapes
from univs.data.text_table import TextTable
from univs.prompt_encoder import TextEncoder
from univs.training.ablations.words import HashedWords
from univs.training.config import TrainConfig

_TRAIN_SEED, _DEV_SEED = 1, 2


@dataclass(frozen=True, slots=True)
class World:
    """Videos to learn from, and others to be measured by, of the same categories.

    Attributes:
        train: to learn from.
        dev: to be measured by; rows of masks whose category is stuff are not prompted.
        is_thing: for each category.
        words: reads names and expressions.
    """

    train: Source
    dev: Source
    is_thing: tuple[bool, ...]
    words: TextEncoder

    def mixture(self, config: TrainConfig) -> ClipMixture:
        """Make the batches of a run."""
        return ClipMixture(((self.train, config.mixture[0]),), config.clip, config.batch_size, config.seed)

    @property
    def table(self) -> TextTable:
        """Give the vectors of the categories."""
        names = self.train.vocabulary
        return TextTable(dict(zip(names, self.words.encode_names(list(names)), strict=True)))


def shapes_world(text_dim: int, num_train: int = 200, num_dev: int = 8, num_frames: int = 8) -> World:
    """Give the world of drifting shapes, in a text space of `text_dim` numbers."""
    is_thing = (True,) * len(THINGS) + (False,) * len(STUFF)
    train, dev = MovingShapes(num_train, 16, _TRAIN_SEED), MovingShapes(num_dev, num_frames, _DEV_SEED)
    return World(train, dev, is_thing, HashedWords(text_dim))
