"""Everything that defines a training run, in one frozen value."""

import json
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any

from univs.config import UniVSConfig
from univs.config_json import described_network
from univs.data.clips import ClipConfig
from univs.data.jitter import ShortSide
from univs.data.mixture import MixtureEntry
from univs.losses.matcher import MatchCosts
from univs.losses.points import PointSampling
from univs.losses.report import LossWeights
from univs.training.rollout import RolloutConfig
from univs.training.stages.config import StageConfig
from univs.training.texts import TextPrompting


class Schedule(StrEnum):
    """How the learning rate falls."""

    COSINE = "cosine"
    STEP = "step"  # times 0.1 once, at `drop_at`


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """AdamW and what surrounds it."""

    learning_rate: float = 3e-4
    backbone_factor: float = 0.1  # learning rate of the backbone, relative
    weight_decay: float = 0.05  # none for norms, biases and embeddings
    gradient_clip: float = 1.0  # largest norm of the whole gradient
    schedule: Schedule = Schedule.COSINE
    warmup_steps: int = 100
    final_factor: float = 0.02  # where the cosine ends, relative
    drop_at: float = 0.9  # fraction of the steps after which `Schedule.STEP` drops
    ema_decay: float = 0.999


@dataclass(frozen=True, slots=True)
class MonitorConfig:
    """How often, in steps, a run writes what; 0 is never."""

    log_every: int = 10
    picture_every: int = 200
    save_every: int = 100


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run.

    Attributes:
        name: of the recipe, and of the weights it makes.
        model: the network.
        mixture: data sets and their shares.
        note: licence of the training data, kept in the weights.
        initial_weights: name or path of weights to start from; None starts afresh.
        frozen: prefixes of parameter names that are not trained.
        learnable_share: share of the steps that also train the learnable queries, on the first frame.
        cache_short_side_px: pictures are kept at most this large.
        texts: how objects are prompted by text; None prompts by points, boxes, masks and scribbles only.
        stage: decodes clips as the paper's stages do, in place of the rollout; `clip`, `rollout`, `points`, `costs`,
            `weights`, `learnable_share`, `cache_short_side_px` and `texts` then mean nothing.
        trains_prompts: False trains the learnable queries alone, on first frames, in their share of the steps.
    """

    name: str
    model: UniVSConfig
    mixture: tuple[MixtureEntry, ...]
    note: str = ""
    initial_weights: str | None = None
    frozen: tuple[str, ...] = ()
    clip: ClipConfig = field(default_factory=ClipConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    points: PointSampling = field(default_factory=PointSampling)
    costs: MatchCosts = field(default_factory=MatchCosts)
    weights: LossWeights = field(default_factory=LossWeights)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    learnable_share: float = 0.0
    batch_size: int = 4
    num_steps: int = 10_000
    seed: int = 0
    cache_short_side_px: int = 288
    texts: TextPrompting | None = None
    stage: StageConfig | None = None
    trains_prompts: bool = True

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.num_steps < 1:
            raise ValueError(f"batch_size and num_steps must be at least 1, got {self.batch_size} and {self.num_steps}")
        if not self.mixture:
            raise ValueError("mixture must name at least one data set, got none")
        if self.stage is not None:
            _check_stage(self.stage, self.model, self.batch_size)
        if not self.trains_prompts and self.learnable_share < 1:
            raise ValueError(
                f"expected a learnable_share of 1 where prompts are not trained, got {self.learnable_share}: "
                "the other steps would train nothing"
            )

    @property
    def loss_weights(self) -> LossWeights:
        """Give what each part of the loss counts."""
        return self.weights if self.stage is None else self.stage.losses.weights

    def to_json(self) -> str:
        """Write the recipe out, for people and for comparison."""
        described = asdict(self) | {"model": described_network(self.model)}
        for name in ("texts", "stage"):  # files are as they were before there were such
            if described[name] is None:
                del described[name]
        if self.trains_prompts:
            del described["trains_prompts"]
        return json.dumps(described, indent=2, default=str)

    def is_continued_by(self, other: "TrainConfig") -> bool:
        """Say whether a run of this config may go on under another: all equal but its length and its log."""
        return other.continues(self.to_json())

    def continues(self, described: str) -> bool:
        """Say whether a run with this recipe, written out, may go on: all is equal but its length and its log.

        What a recipe of an earlier version did not have must be as it is by default.
        """
        stored = json.loads(described)
        return _is_same(replace(self, num_steps=stored["num_steps"]), {**stored, "monitor": asdict(self.monitor)})


def _is_same(config: Any, stored: Any) -> bool:  # Any: a recipe, or a part of one of any type; stored: its JSON
    """Compare a value with how it, or its like, was written out."""
    if isinstance(config, tuple):
        is_list = isinstance(stored, list) and len(stored) == len(config)
        return is_list and all(map(_is_same, config, stored))
    if not is_dataclass(config):
        return bool(json.loads(json.dumps(config, default=str)) == stored)
    if not isinstance(stored, dict) or not stored.keys() <= {each.name for each in fields(config)}:
        return False
    return all(
        _is_same(getattr(config, each.name), stored[each.name])
        if each.name in stored
        else getattr(config, each.name) == _default(each)
        for each in fields(config)
    )


def _default(each: "Field[Any]") -> Any:  # Any: the field's own type
    return each.default_factory() if each.default_factory is not MISSING else each.default


def _check_stage(stage: StageConfig, model: UniVSConfig, batch_size: int) -> None:
    if model.memory.dense_readout:
        raise ValueError(
            "a stage trains the paper's network, which has no dense readout; set dense_readout and mask_prior to False"
        )
    if isinstance(stage.clips.fit, ShortSide) and batch_size > 1:
        raise ValueError(
            f"clips by short side differ in size, so that a process takes one at a time, got batch_size {batch_size}; "
            "use more processes, or SquareJitter"
        )
