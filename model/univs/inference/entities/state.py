"""What a stream of entities keeps between steps, apart from the memory pool and the frames of its window."""

from dataclasses import dataclass, field
from fractions import Fraction

from univs.inference.entities.entity import Entity
from univs.inference.entities.panoptic import SegmentLedger
from univs.types import SegmentMap


@dataclass(frozen=True, slots=True)
class WaitingFrame:
    """A frame that has left the window and waits for its answer."""

    index: int
    pts: int
    time_base: Fraction
    semantic: SegmentMap | None  # of the learnable queries of its window, where it was asked for


@dataclass(slots=True)
class StreamState:
    """The state of one video.

    Attributes:
        entities: by id.
        waiting: frames that left the window, oldest first.
        ledger: which segment of the panoptic answer is whose.
        next_id: of the next new entity; ids are never used again.
        num_windows: so far.
        num_slots: windows whose category scores are remembered.
    """

    entities: dict[int, Entity] = field(default_factory=dict)
    waiting: list[WaitingFrame] = field(default_factory=list)
    ledger: SegmentLedger = field(default_factory=SegmentLedger)
    next_id: int = 1
    num_windows: int = 0
    num_slots: int = 0
