"""Everything that defines a training run, in one frozen value."""

import json
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from univs.config import UniVSConfig
from univs.config_json import described_network
from univs.data.clips import ClipConfig
from univs.data.mixture import MixtureEntry
from univs.losses.matcher import MatchCosts
from univs.losses.points import PointSampling
from univs.losses.report import LossWeights
from univs.training.rollout import RolloutConfig
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
    trains_prompts: bool = True

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.num_steps < 1:
            raise ValueError(f"batch_size and num_steps must be at least 1, got {self.batch_size} and {self.num_steps}")
        if not self.mixture:
            raise ValueError("mixture must name at least one data set, got none")
        if not self.trains_prompts and self.learnable_share < 1:
            raise ValueError(
                f"expected a learnable_share of 1 where prompts are not trained, got {self.learnable_share}: "
                "the other steps would train nothing"
            )

    def to_json(self) -> str:
        """Write the recipe out, for people and for comparison."""
        described = asdict(self) | {"model": described_network(self.model)}
        if self.texts is None:  # runs that began before there were texts go on
            del described["texts"]
        if self.trains_prompts:
            del described["trains_prompts"]
        return json.dumps(described, indent=2, default=str)

    def is_continued_by(self, other: "TrainConfig") -> bool:
        """Say whether a run of this config may go on under another: all equal but its length and its log."""
        same = replace(other, num_steps=self.num_steps, monitor=self.monitor)
        return same.to_json() == self.to_json()
