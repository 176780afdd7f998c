"""How a video is run through the network: the two semantics of DECISIONS, as named options of one code path."""

from dataclasses import dataclass
from enum import StrEnum


class Compat(StrEnum):
    """Which reading of the paper decides where it is silent."""

    PAPER = "paper"  # ours: one frame a step, everything bounded, each token from the frame its mask belongs to
    RELEASED = "released"  # the published code, for its checkpoints


class Isolation(StrEnum):
    """Whether objects may influence each other."""

    STRICT = "strict"  # never: adding an object leaves every other mask as it was
    JOINT = "joint"  # prompt queries attend to each other and compete for pixels, as published


@dataclass(frozen=True, slots=True)
class InferenceOptions:
    """Everything about inference that is not the network.

    Attributes:
        clip_length: frames decoded together.
        clip_stride: frames by which a clip advances.
        short_side_px: frames are resized so that their short side has this many pixels ...
        long_side_max_px: ... unless their long side would exceed this.
        memory_frames: remembered frames beside the first appearance; None takes the network's.
        tokens_per_frame: tokens of one object in one frame; None takes the network's.
        consistency_threshold: an object whose embedding is less similar to its past than this is not in the frame.
        presence_threshold: an object less present than this is not in the frame.
        lost_after_frames: an object unseen for longer is lost rather than occluded.
        minimum_quality: masks less stable than this leave no tokens in the memory.
        object_tile: objects decoded in one pass under strict isolation (padded up to it).
    """

    compat: Compat = Compat.PAPER
    isolation: Isolation = Isolation.STRICT
    clip_length: int = 1
    clip_stride: int = 1
    short_side_px: int = 384
    long_side_max_px: int = 1333
    memory_frames: int | None = None
    tokens_per_frame: int | None = None
    consistency_threshold: float = 0.2
    presence_threshold: float = 0.3
    lost_after_frames: int = 15
    minimum_quality: float = 0.3
    object_tile: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.clip_stride <= self.clip_length:
            raise ValueError(
                f"clip_stride must lie in 1..clip_length ({self.clip_length}), got {self.clip_stride}: "
                "frames between two clips would get no result"
            )
        if self.short_side_px < 32 or self.long_side_max_px < self.short_side_px:
            raise ValueError(
                f"need 32 <= short_side_px <= long_side_max_px, got {self.short_side_px} and {self.long_side_max_px}"
            )


def paper(short_side_px: int = 384) -> InferenceOptions:
    """Give our own semantics, the default of our weights."""
    return InferenceOptions(short_side_px=short_side_px)


def released_vos() -> InferenceOptions:
    """Give the published code's settings for VOS (SPEC sections 7, 8 and 10)."""
    return InferenceOptions(
        compat=Compat.RELEASED,
        isolation=Isolation.JOINT,
        clip_length=5,
        clip_stride=1,
        short_side_px=640,
        memory_frames=5,
        tokens_per_frame=256,
        consistency_threshold=0.5,
        presence_threshold=0.0,
    )
