"""A world of photographs: stills of COCO set in motion, with the stored vectors of their 80 names."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from univs.data.cache import CachedSource
from univs.data.catalog import open_source
from univs.data.clips import ClipConfig, make_clip
from univs.data.composition import PasteConfig
from univs.data.naming import plain_name
from univs.data.sample import Picture, Sample, Source
from univs.errors import InputError
from univs.prompt_encoder.text import TextFeatures
from univs.training.ablations.world import World

_SOURCE = "coco_instances"
_VECTORS = "coco_clip_a+cname.npy"  # in the folder `text`, in the order of category ids
_CACHE_SHORT_SIDE_PX = 96
_DEV_SEED = 2
_NUM_REMEMBERED = 2


def pictures_world(data_root: Path, cache_folder: Path, num_dev: int = 8, num_frames: int = 8) -> World:
    """Give the world of photographs, in the text space of CLIP ViT-B/32.

    Args:
        data_root: holds `coco_mini` and `text`.
        cache_folder: where decoded pictures are kept.
        num_dev: videos to be measured by, made from stills of the split dev.
        num_frames: of each.
    Raises:
        InputError: for data that is not there.
    """
    train, dev = (
        CachedSource(open_source(_SOURCE, data_root, split), cache_folder, _CACHE_SHORT_SIDE_PX)
        for split in ("train", "dev")
    )
    path = data_root / "text" / _VECTORS
    if not path.is_file():
        raise InputError(f"expected the vectors of COCO's names in {path}")
    rows = torch.from_numpy(np.load(path).astype(np.float32))
    if len(rows) != len(train.vocabulary):
        raise InputError(f"expected a vector for each of {len(train.vocabulary)} names, got {len(rows)} in {path}")
    words = StoredNames(dict(zip(train.vocabulary, rows, strict=True)))
    return World(train, MovingStills(dev, num_dev, num_frames, _DEV_SEED), (True,) * len(rows), words)


class MovingStills:
    """Videos made of the stills of another source, as training clips are, but always the same ones."""

    def __init__(self, stills: Source, num_videos: int, num_frames: int, seed: int) -> None:
        self.name = f"{stills.name}-moving-{seed}"
        self.vocabulary = stills.vocabulary
        self.is_exhaustive = False  # small objects are left out
        self._stills, self._num_videos, self._seed = stills, num_videos, seed
        self._clip = ClipConfig(
            num_frames=num_frames,
            size=(64, 96),
            max_objects=4,
            first_gap=1,
            gap=1,
            pasting=PasteConfig(probability=0.0),
        )
        self._made = lru_cache(_NUM_REMEMBERED)(self._make)

    def __len__(self) -> int:
        return self._num_videos

    def num_frames(self, item_index: int, /) -> int:
        """Count the frames of a video."""
        assert 0 <= item_index < self._num_videos
        return self._clip.num_frames

    def read(self, item_index: int, position: int, /) -> Picture:
        """Give a frame."""
        made = self._made(item_index)
        return Picture(
            made.images[position], made.masks[:, position], tuple(made.category_ids.tolist()), tuple(made.texts)
        )

    def _make(self, item_index: int) -> Sample:
        """Draw a video that shows something."""
        attempt = 0
        while True:
            made = make_clip(np.random.default_rng([self._seed, item_index, attempt]), self._stills, (), self._clip)
            if len(made.masks):
                return made
            attempt += 1


class StoredNames:
    """Reads the names it has vectors of, with or without an article, and nothing else."""

    def __init__(self, vectors: dict[str, Tensor]) -> None:
        self._vectors = {plain_name(name): vector for name, vector in vectors.items()}

    @property
    def text_dim(self) -> int:
        """D."""
        return len(next(iter(self._vectors.values())))

    def encode(self, texts: list[str]) -> TextFeatures:
        """Encode texts that are names: the sentence and the one word of each are its vector."""
        rows = self.encode_names([text.removeprefix("the ").removeprefix("a ") for text in texts])
        return TextFeatures(rows, rows[:, None], torch.zeros(len(texts), 1, dtype=torch.bool))

    def encode_names(self, names: list[str]) -> Tensor:
        """Look names up: [N, D].

        Raises:
            InputError: for one that has no vector.
        """
        unknown = [name for name in names if plain_name(name) not in self._vectors]
        if unknown:
            raise InputError(f"expected names with stored vectors, got {unknown[0]!r}; there are {len(self._vectors)}")
        return torch.stack([self._vectors[plain_name(name)] for name in names])
