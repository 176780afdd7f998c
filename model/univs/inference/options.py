"""How a video is run through the network: the two semantics of DECISIONS, as named options of one code path.

`docs/semantics.md` lists every difference between the two, with the reason and the test that shows it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from univs.expression_decoding import EarlierMasks
from univs.prompt_encoder.queries import InitialQuery
from univs.prompt_encoder.sampling import CellChoice
from univs.types import Compat

SHORT_SIDE_PX = 320  # what our weights do best at on dev clips


class Isolation(StrEnum):
    """Whether objects may influence each other."""

    STRICT = "strict"  # never: adding an object leaves every other mask as it was
    JOINT = "joint"  # prompt queries attend to each other, as published


class Judge(StrEnum):
    """Who decides which pixels are an object's, and whether it is in sight."""

    PRESENCE = "presence"  # each object for itself: presence and consistency against thresholds, frame by frame
    COMPETITION = "competition"  # published: objects compete for pixels, logits of overlapping windows are summed


@dataclass(frozen=True, slots=True)
class InferenceOptions:
    """Everything about inference that is not the network.

    Attributes:
        compat: the name of the settings; it decides nothing by itself.
        isolation: whether prompt queries see each other.
        clip_length: frames decoded together, a window.
        clip_stride: frames by which a window advances; results come when a frame has been in all of its windows.
        judge: who decides on masks. `PRESENCE` looks at one frame, so it needs clip_length 1.
        initial_query: which remembered tokens the initial query is the mean of.
        blanks_attend: empty tokens of remembered frames take part in the prompt cross-attention as zeros.
        cell_choice: which cells of a mask become tokens.
        average_with_learnable: an expression's mask is averaged with its most similar learnable query's.
        earlier_masks: what an expression's own earlier masks add to its words in the prompt cross-attention.
        text_hands_over: what an expression names is followed by its looks once it was seen, as if it had been shown,
            and asked for by its words again when it is lost; or else it is asked for by its words in every frame.
        half_precision_memory: keep tokens in float16 and embeddings in float32; or else both as the network computes.
        short_side_px: frames are resized so that their short side has this many pixels ...
        long_side_max_px: ... unless their long side would exceed this.
        memory_frames: remembered frames beside the first appearance; None takes the network's. At least clip_length
            are kept.
        tokens_per_frame: tokens of one object in one frame; None takes the network's.
        consistency_threshold: an object whose embedding is less similar to its past than this is not in the frame.
        presence_threshold: an object less present than this is not in the frame.
        lost_after_frames: an object unseen for longer is lost rather than occluded.
        reach: in 1/24 of a second an object moves by at most this share of the square root of its area, plus
            `reach_margin`; what looks like it farther away is not it. None looks everywhere. An object that was not
            seen in the frame before, or is prompted in this one, may be anywhere; but in the frame of a box it lies in
            the box. Only the `PRESENCE` judge asks.
        reach_margin: cells of the 1/8 map.
        cohesion: an object that was one body when it was prompted stays one: pieces of its mask that lie apart from the
            largest by more than this share of the square root of its area are left out. None keeps all. Only the
            `PRESENCE` judge asks.
        minimum_quality: masks less stable than this leave no tokens in the memory.
        object_tile: objects decoded in one pass under strict isolation (padded up to it): 1 wastes nothing on a CPU,
            more fill a GPU.
    """

    compat: Compat = Compat.PAPER
    isolation: Isolation = Isolation.STRICT
    clip_length: int = 1
    clip_stride: int = 1
    judge: Judge = Judge.PRESENCE
    initial_query: InitialQuery = InitialQuery.POOL
    blanks_attend: bool = False
    cell_choice: CellChoice = CellChoice.SPREAD
    average_with_learnable: bool = False
    earlier_masks: EarlierMasks = EarlierMasks.LOOKS
    text_hands_over: bool = True
    half_precision_memory: bool = True
    short_side_px: int = SHORT_SIDE_PX
    long_side_max_px: int = 1333
    memory_frames: int | None = None
    tokens_per_frame: int | None = None
    consistency_threshold: float = 0.2
    presence_threshold: float = 0.3
    lost_after_frames: int = 15
    reach: float | None = 0.1
    reach_margin: int = 1
    cohesion: float | None = 0.25
    minimum_quality: float = 0.75
    object_tile: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.clip_stride <= self.clip_length:
            raise ValueError(
                f"clip_stride must lie in 1..clip_length ({self.clip_length}), got {self.clip_stride}: "
                "frames between two clips would get no result"
            )
        if self.judge is Judge.PRESENCE and self.clip_length != 1:
            raise ValueError(
                f"the presence judge looks at one frame a step, got clip_length {self.clip_length}: "
                "choose judge=Judge.COMPETITION for longer clips"
            )
        if self.short_side_px < 32 or self.long_side_max_px < self.short_side_px:
            raise ValueError(
                f"need 32 <= short_side_px <= long_side_max_px, got {self.short_side_px} and {self.long_side_max_px}"
            )


def paper(short_side_px: int = SHORT_SIDE_PX) -> InferenceOptions:
    """Give our own semantics, the default of our weights."""
    return InferenceOptions(short_side_px=short_side_px)


def options_for(compat: Compat, short_side_px: int | None = None) -> InferenceOptions:
    """Give the settings by which weights of either semantics follow prompted objects.

    Expressions come out under `released_vos` as under `released_refvos`, so that one setting serves all prompts.

    Args:
        compat: what the weights say, `univs.weights.WeightsInfo.compat`.
        short_side_px: of the picture that the network sees; the semantics' own when left out.
    """
    options = paper() if compat is Compat.PAPER else released_vos()
    return options if short_side_px is None else replace(options, short_side_px=short_side_px)


def released_vos() -> InferenceOptions:
    """Give the published code's settings for VOS (SPEC sections 7, 8 and 10)."""
    return InferenceOptions(
        compat=Compat.RELEASED,
        isolation=Isolation.JOINT,
        clip_length=5,
        clip_stride=1,
        judge=Judge.COMPETITION,
        initial_query=InitialQuery.LATEST,
        blanks_attend=True,
        cell_choice=CellChoice.RASTER,
        average_with_learnable=True,
        earlier_masks=EarlierMasks.NOTHING,
        text_hands_over=False,
        half_precision_memory=False,
        short_side_px=640,
        memory_frames=5,
        tokens_per_frame=256,
        consistency_threshold=0.5,
        presence_threshold=0.0,
        minimum_quality=0.0,
    )


def released_refvos() -> InferenceOptions:
    """Give the published code's settings for RefVOS: expressions never see each other, 32 tokens a frame."""
    return replace(released_vos(), isolation=Isolation.STRICT, tokens_per_frame=32)
