"""Recipes of the stages at a size for tests, and moving shapes to train on."""

from dataclasses import replace

import torch
from torch import Tensor

from univs.config import BackboneConfig, MemoryConfig, UniVSConfig, tiny
from univs.data.jitter import Fit, ShortSide, SquareJitter
from univs.data.mixture import MixtureEntry, StageMixture
from univs.data.sample import Picture
from univs.data.text_table import TextTable
from univs.losses.points import PointSampling
from univs.prompt_encoder.text import TextFeatures
from univs.training.config import MonitorConfig, TrainConfig

TEXT_DIM = 32


def small_network(backbone: BackboneConfig | None = None) -> UniVSConfig:
    """Give the paper's network, without what goes beyond it, at the size of `tiny`."""
    model = tiny()
    return replace(
        model,
        text_dim=TEXT_DIM,
        backbone=backbone or model.backbone,
        memory=MemoryConfig(num_frames=3, tokens_per_frame=8),
    )


def shrunken(config: TrainConfig, model: UniVSConfig | None = None) -> TrainConfig:
    """Give a recipe of a stage that differs in its sizes alone, and in the rates that so few steps ask for."""
    stage = config.stage
    assert stage is not None, "a recipe of a stage"
    fit: Fit = SquareJitter(64, (0.8, 1.5)) if isinstance(stage.clips.fit, SquareJitter) else ShortSide((64,), 96)
    points = PointSampling(64, stage.losses.points.oversampling, stage.losses.points.uncertain_share)
    costs = replace(stage.losses.costs, num_points=64)
    return replace(
        config,
        model=model or small_network(),
        stage=replace(
            stage,
            clips=replace(stage.clips, fit=fit, max_objects=3, reach=4),
            losses=replace(stage.losses, points=points, costs=costs),
        ),
        optimizer=replace(config.optimizer, learning_rate=3e-3, backbone_factor=1.0),
        monitor=MonitorConfig(log_every=1, picture_every=5, save_every=5),
        num_steps=10,
        batch_size=1,
    )


class Words:
    """A text encoder in which each text has a place of its own."""

    text_dim = TEXT_DIM

    def encode(self, texts: list[str]) -> TextFeatures:
        rows = torch.stack([_drawn(text) for text in texts])
        return TextFeatures(rows, rows[:, None].repeat(1, 3, 1), torch.zeros(len(texts), 3, dtype=torch.bool))

    def encode_names(self, names: list[str]) -> Tensor:
        return self.encode(names).sentences


def _drawn(text: str) -> Tensor:
    generator = torch.Generator().manual_seed(sum(text.encode()))
    return torch.randn(TEXT_DIM, generator=generator, dtype=torch.float32)


class Shapes:
    """A source of videos of a bright disk and a dark square that move; the square leaves after a while."""

    name = "shapes"
    is_exhaustive = True

    def __init__(self, vocabulary: tuple[str, ...] = ("disk", "square", "star"), texts: tuple[str, str] | None = None):
        self.vocabulary = vocabulary
        self._texts = texts or ("disk", "square")

    def __len__(self) -> int:
        return 1

    def num_frames(self, _item_index: int, /) -> int:
        return 9

    def read(self, _item_index: int, position: int, /) -> Picture:
        rows, columns = torch.meshgrid(torch.arange(64), torch.arange(96), indexing="ij")
        disk = (rows - 32) ** 2 + (columns - 24 - 2 * position) ** 2 <= 16**2
        square = ((rows - 32).abs() <= 12) & ((columns - 80).abs() <= 10) & torch.tensor(position < 6)
        image = torch.full((3, 64, 96), 90, dtype=torch.uint8)
        image[:, disk] = torch.tensor([230, 180, 60], dtype=torch.uint8)[:, None]
        image[:, square] = torch.tensor([20, 30, 200], dtype=torch.uint8)[:, None]
        return Picture(image, torch.stack([disk, square]), (0, 1) if self.vocabulary else (-1, -1), self._texts)


def mixture_of(config: TrainConfig, source: Shapes | None = None) -> StageMixture:
    """Make batches of one source."""
    assert config.stage is not None, "a recipe of a stage"
    entry = MixtureEntry("shapes", 1.0)
    return StageMixture(((source or Shapes(), entry),), config.stage.clips, config.batch_size, config.seed)


def table_of(*names: str) -> TextTable:
    """Encode names."""
    return TextTable({name: _drawn(name) for name in names})
