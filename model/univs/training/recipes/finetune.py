"""The recipe that goes on from finished weights on a few videos of one kind, in minutes on a CPU."""

from univs.data.clips import ClipConfig
from univs.data.mixture import MixtureEntry
from univs.losses.points import PointSampling
from univs.training.config import MonitorConfig, OptimizerConfig, TrainConfig
from univs.training.rollout import RolloutConfig
from univs.weights import WeightsInfo

NUM_STEPS = 120
BATCH_SIZE = 2
LEARNING_RATE = 2e-4  # a quarter of what the shipped weights began with: most of what they know shall stay


def finetune(
    name: str,
    initial_weights: str,
    initial: WeightsInfo,
    *,
    num_steps: int = NUM_STEPS,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = LEARNING_RATE,
    trains_backbone: bool = False,
) -> TrainConfig:
    """Go on from weights on one's own videos; the backbone stays, of which a few videos teach nothing that lasts.

    Args:
        name: of the weights that come out.
        initial_weights: name or path of those to start from.
        initial: what these say of themselves.
        num_steps: of the whole run; the learning rate falls along it.
        batch_size: clips a step.
        learning_rate: the highest.
        trains_backbone: learn edges and textures anew too; slower, and for videos of another kind of picture.
    """
    return TrainConfig(
        name=name,
        model=initial.config,
        note=f"{initial.note}; continued on videos of its user's own",
        initial_weights=initial_weights,
        frozen=() if trains_backbone else ("backbone.",),
        mixture=(MixtureEntry("own", 1.0),),
        clip=ClipConfig(num_frames=4, size=(192, 320), max_objects=2, gap=2),
        rollout=RolloutConfig(teacher_probability=0.25),
        points=PointSampling(num_points=2048),
        optimizer=OptimizerConfig(learning_rate=learning_rate, warmup_steps=min(10, num_steps)),
        monitor=MonitorConfig(log_every=5, picture_every=50, save_every=0),
        batch_size=batch_size,
        num_steps=num_steps,
    )
