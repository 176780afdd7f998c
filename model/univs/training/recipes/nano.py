"""Recipes of the shipped networks for CPUs: `nano` on open data, `nano-research` on data for research."""

from dataclasses import replace

from univs.config import UniVSConfig, nano
from univs.data.clips import ClipConfig
from univs.data.mixture import MixtureEntry
from univs.data.motion import MotionRange
from univs.losses.points import PointSampling
from univs.training.config import OptimizerConfig, TrainConfig
from univs.training.rollout import RolloutConfig

_OPEN_NOTE = (
    "trained on COCO 2017 (annotations CC BY 4.0, pictures under their Flickr licences) and Clothing Co-Parsing "
    "(Apache-2.0, rights of the photos unclear), from an EfficientNet-Lite0 of ImageNet (Apache-2.0)"
)
# ImageNet's edges and textures are kept; learning them anew costs a third of the time.
_EARLY_BACKBONE = ("backbone.stem.", "backbone.stages.0.", "backbone.stages.1.")
# How far apart the looks of an object lie in a real clip of some seconds.
_WILD_MOTION = MotionRange(shift=0.3, rotation_deg=25.0, zoom=0.35, shear=0.1, jitter=0.02, warp=0.05)
_RESEARCH_NOTE = f"{_OPEN_NOTE}, and on DAVIS 2016 and ECSSD, which are for research only: so are these weights"


def _remembering(model: UniVSConfig, num_frames: int) -> UniVSConfig:
    """Give a network as many recent frames to remember as its training clips can show it."""
    return replace(model, memory=replace(model.memory, num_frames=num_frames))


def nano_vos() -> TrainConfig:
    """Train `nano` for prompted objects, on data whose licence allows general use."""
    return TrainConfig(
        name="nano",
        model=_remembering(nano(), 1),
        note=_OPEN_NOTE,
        frozen=_EARLY_BACKBONE,
        mixture=(
            MixtureEntry("coco_instances", 1.0, is_pasted=True),
            MixtureEntry("coco_panoptic", 0.2),
            MixtureEntry("clothing", 0.4, is_pasted=True),
        ),
        clip=ClipConfig(num_frames=3, size=(160, 288), max_objects=2),
        points=PointSampling(num_points=2048),
        optimizer=OptimizerConfig(learning_rate=8e-4),
        batch_size=4,
        num_steps=1500,
    )


def nano_vos_long() -> TrainConfig:
    """Continue `nano` on the same data: longer and larger clips, wilder motion, mostly its own masks in memory."""
    first = nano_vos()
    return replace(
        first,
        initial_weights="nano",
        model=_remembering(nano(), 2),
        clip=replace(first.clip, num_frames=4, size=(192, 320), gap=2, still_motion=_WILD_MOTION),
        rollout=RolloutConfig(teacher_probability=0.2),
        optimizer=OptimizerConfig(learning_rate=6e-4, warmup_steps=50),
        num_steps=1350,
        seed=2,
    )


def nano_research_vos() -> TrainConfig:
    """Continue from `nano` with DAVIS 2016 and ECSSD, in longer clips that go on from the network's own masks."""
    open_recipe = nano_vos()
    return replace(
        open_recipe,
        name="nano-research",
        note=_RESEARCH_NOTE,
        initial_weights="nano",
        mixture=(
            MixtureEntry("davis2016", 2.0),
            MixtureEntry("ecssd", 0.6, is_pasted=True),
            MixtureEntry("coco_instances", 0.6, is_pasted=True),
            MixtureEntry("clothing", 0.2, is_pasted=True),
        ),
        model=_remembering(nano(), 2),
        clip=replace(open_recipe.clip, num_frames=4),
        rollout=RolloutConfig(teacher_probability=0.25),
        optimizer=OptimizerConfig(learning_rate=6e-4),
        num_steps=1000,
        seed=1,
    )


def nano_research_vos_long() -> TrainConfig:
    """Continue `nano-research` on the same data, in larger pictures and with wilder motion of its stills."""
    first = nano_research_vos()
    return replace(
        first,
        initial_weights="nano-research",
        clip=replace(first.clip, size=(192, 320), gap=2, still_motion=_WILD_MOTION),
        rollout=RolloutConfig(teacher_probability=0.2),
        optimizer=OptimizerConfig(learning_rate=6e-4, warmup_steps=50),
        num_steps=1350,
        seed=4,
    )
