"""Data that crosses the rooms of `univs`.

Letters used for axes, here and everywhere:
    B batch (videos), T frames of a clip, Q queries, O objects, P remembered frames, R tokens of one object in one
    frame, L tokens of a prompt, C channels, K classes, H x W pixels of a frame, h x w cells of a feature map.

Coordinates inside `univs` are fractions of width and height in [0, 1], origin top-left; boxes are x0 y0 x1 y1.
Images are uint8 RGB. A frame is named by three integers: its index in decoding order, its pts, and the time base.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TypeAlias

import torch
from torch import Tensor

from univs import rle
from univs.rle import Rle


class Compat(StrEnum):
    """Which reading of the paper decides where it is silent; weights say by which they were made."""

    PAPER = "paper"  # ours: one frame a step, everything bounded, each token from the frame its mask belongs to
    RELEASED = "released"  # the published code, for its checkpoints


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture, rotation applied."""

    index: int
    pts: int
    time_base: Fraction
    image: Tensor  # uint8 [3, H, W], RGB

    @property
    def time_s(self) -> float:
        """Seconds since the start of the stream, for display only."""
        return float(self.pts * self.time_base)


@dataclass(frozen=True, slots=True)
class Clip:
    """T consecutive frames, handed to the network together."""

    frames: tuple[Frame, ...]

    def __post_init__(self) -> None:
        if not self.frames:
            raise ValueError("a clip needs at least one frame, got none")

    @property
    def frame_indices(self) -> tuple[int, ...]:
        """Absolute index of each frame."""
        return tuple(frame.index for frame in self.frames)

    @property
    def images(self) -> Tensor:
        """Stack the pictures: uint8 [T, 3, H, W]."""
        return torch.stack([frame.image for frame in self.frames])


@dataclass(frozen=True, slots=True)
class PointPrompt:
    """Clicks on one object: `is_positive` says which lie on it and which lie off it."""

    object_id: int
    frame_index: int
    points_xy: tuple[tuple[float, float], ...]
    is_positive: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class BoxPrompt:
    """A rectangle around one object."""

    object_id: int
    frame_index: int
    box_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class MaskPrompt:
    """The pixels of one object."""

    object_id: int
    frame_index: int
    mask: Tensor  # bool [H, W]


@dataclass(frozen=True, slots=True)
class ScribblePrompt:
    """A stroke over one object: a polyline, and its width as a fraction of the frame's diagonal."""

    object_id: int
    frame_index: int
    points_xy: tuple[tuple[float, float], ...]
    width: float = 0.01


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """A free expression that names one object ("the brown bear on the left")."""

    object_id: int
    text: str
    frame_index: int = 0


@dataclass(frozen=True, slots=True)
class CategoryPrompt:
    """Names of categories to be found; `is_thing` has one entry per name."""

    names: tuple[str, ...]
    is_thing: tuple[bool, ...]


VisualPrompt: TypeAlias = PointPrompt | BoxPrompt | MaskPrompt | ScribblePrompt
Prompt: TypeAlias = VisualPrompt | TextPrompt | CategoryPrompt


class ObjectState(StrEnum):
    """What the tracker believes about an object in a frame."""

    VISIBLE = "visible"
    OCCLUDED = "occluded"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class MaskResult:
    """The answer for one object in one frame."""

    object_id: int
    frame_index: int
    score: float  # in [0, 1]: how good the mask is believed to be
    presence: float  # in [0, 1]: how sure that the object is in the frame at all
    state: ObjectState
    area_fraction: float  # share of the frame's pixels
    revision: int
    label: str | None
    mask: Rle  # at the size of the frame
    class_index: int | None = None  # row of the vocabulary; None for objects that were prompted


@dataclass(frozen=True, slots=True)
class Segment:
    """One region of a picture that is divided among segments; regions never overlap."""

    segment_id: int  # from 1 up, the same in all frames of a video
    object_id: int | None  # the object it is; None for stuff, which several may share, and for pixels of a category
    class_index: int  # row of the vocabulary
    label: str
    is_thing: bool
    score: float  # in [0, 1]
    area_fraction: float  # share of the frame's pixels
    mask: Rle  # at the size of the frame


@dataclass(frozen=True, slots=True)
class SegmentMap:
    """A picture divided among segments; pixels of none of them are void."""

    size: tuple[int, int]  # (height, width) in pixels
    segments: tuple[Segment, ...]  # in ascending id

    def segment_ids(self) -> Tensor:
        """Give the segment of each pixel, 0 where there is none: int32 [H, W]."""
        return self._painted([segment.segment_id for segment in self.segments], void=0)

    def class_indices(self) -> Tensor:
        """Give the category of each pixel, -1 where there is none: int32 [H, W]."""
        return self._painted([segment.class_index for segment in self.segments], void=-1)

    def _painted(self, values: list[int], void: int) -> Tensor:
        picture = torch.full(self.size, void, dtype=torch.int32)
        for segment, value in zip(self.segments, values, strict=True):
            picture[torch.from_numpy(rle.decode(segment.mask))] = value
        return picture


@dataclass(frozen=True, slots=True)
class RankedEntity:
    """What one object of a video may be, and how sure that is; one object may have several."""

    object_id: int
    class_index: int  # row of the vocabulary
    label: str
    score: float  # in [0, 1], over the whole video


@dataclass(frozen=True, slots=True)
class FrameResult:
    """All answers for one frame, objects in ascending id."""

    frame_index: int
    pts: int
    time_base: Fraction
    size: tuple[int, int]  # (height, width) in pixels
    objects: tuple[MaskResult, ...]
    semantic: SegmentMap | None = None  # one segment for each category, where it was asked for
    panoptic: SegmentMap | None = None  # one segment for each thing and each category of stuff, where asked for


class PromptKind(StrEnum):
    """How a prompt query is read; chooses the learned task vector, the class head and the self-attention."""

    VISUAL = "visual"  # points, boxes, masks, scribbles: the paper's "sot"
    EXPRESSION = "expression"  # free text: the paper's "grounding"
    CATEGORY = "category"  # category names: the paper's "detection"


@dataclass(frozen=True, slots=True)
class ClipFeatures:
    """What the pixel decoder gives, per frame."""

    levels: tuple[Tensor, ...]  # coarse to fine, strides 32, 16, 8: each [B, T, C, h, w]
    mask_features: Tensor  # [B, T, C, H/4, W/4], the paper's F4 at stride 4
    frame_indices: Tensor  # int64 [B, T], absolute index of each frame (temporal position)
    padded_size: tuple[int, int]  # (height, width) the network saw, multiples of 32


@dataclass(frozen=True, slots=True)
class ClipWords:
    """What a clip is asked for in words, told before it is looked at; only networks with early fusion listen."""

    features: Tensor  # [B, W, D], in the text space
    is_padding: Tensor  # bool [B, W]


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """A prompt encoded: L tokens per object. T may be 1, for tokens that all frames of a clip share."""

    features: Tensor  # [B, Q, T, L, C]
    positions: Tensor | None  # [B, Q, T, L, C]; None for text, which has no place
    is_padding: Tensor  # bool [B, Q, T, L]


@dataclass(frozen=True, slots=True)
class PromptQueries:
    """Prompts as the mask decoder takes them: an initial query and its tokens."""

    kind: PromptKind
    content: Tensor  # [B, Q, T, C]
    position: Tensor  # [B, Q, T, C]
    tokens: PromptTokens
    is_padding: Tensor  # bool [B, Q]: slots that hold no object
    mask_features: Tensor | None = None  # [B, Q, T, C, H/4, W/4]: an object's own pixel embedding instead of F4


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the mask decoder says. Rows 0..N_l-1 are learnable queries (when asked for), prompts follow."""

    mask_logits: Tensor  # [B, Q, T, H/4, W/4]
    embeddings: Tensor  # [B, Q, T, C], for tracking (ReID)
    class_logits: Tensor | None  # [B, Q, K]
    num_learnable: int
    auxiliary: tuple["Prediction", ...] = ()  # earlier layers, first to last
