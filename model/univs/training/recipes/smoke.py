"""A run of seconds, to see that everything fits together."""

from dataclasses import replace

from univs.config import tiny
from univs.data.clips import ClipConfig
from univs.data.mixture import MixtureEntry
from univs.losses.matcher import MatchCosts
from univs.losses.points import PointSampling
from univs.training.config import MonitorConfig, OptimizerConfig, TrainConfig


def tiny_smoke() -> TrainConfig:
    """Train `tiny` for ten steps: does everything fit together?"""
    return TrainConfig(
        name="tiny-smoke",
        model=replace(tiny(), text_dim=512),
        mixture=(MixtureEntry("davis2016", 1.0, is_pasted=True),),
        clip=ClipConfig(num_frames=3, size=(64, 96), max_objects=2),
        points=PointSampling(num_points=256),
        costs=MatchCosts(num_points=256),
        optimizer=OptimizerConfig(learning_rate=2e-3, backbone_factor=1.0, warmup_steps=2, ema_decay=0.9),
        monitor=MonitorConfig(log_every=1, picture_every=5, save_every=5),
        learnable_share=0.5,
        batch_size=2,
        num_steps=10,
        cache_short_side_px=96,
    )
