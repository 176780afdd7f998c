"""What is known of one entity: how it is followed, like any prompted object, and which categories it may be."""

from dataclasses import dataclass

import torch
from torch import Tensor

from univs.inference.tracks import Track
from univs.types import ObjectState

_RECENT = 3  # windows whose looks a new one begins with


@dataclass(slots=True)
class Entity:
    """A followed object whose category was detected, not given. Its id is never used again.

    Attributes:
        track: embeddings (one row for each window), masks of the window, memory; its `logits` are those of the window.
        class_slots: [S, K], scores of the categories, the newest last.
        num_scored: how many of these rows, from the last, count: their mean is what it is believed to be.
        left: [F, h, w], mask logits of frames that have left the window and are not answered yet.
        quality_sum: of its masks, over all windows.
        num_seen: how many masks that was.
        reported: [K], sum over the blocks answered so far of their mean scores.
        num_reported: how many blocks that was.
    """

    track: Track
    class_slots: Tensor
    num_scored: int
    left: Tensor
    quality_sum: float = 0.0
    num_seen: int = 0
    reported: Tensor | None = None
    num_reported: int = 0

    @property
    def object_id(self) -> int:
        """Name it."""
        return self.track.object_id

    @property
    def scores(self) -> Tensor:
        """Give the mean score of each category: [K]."""
        return self.class_slots[-self.num_scored :].mean(dim=0)

    @property
    def quality(self) -> float:
        """Say how stable its masks were, on average."""
        return self.quality_sum / max(1, self.num_seen)

    @property
    def window_logits(self) -> Tensor:
        """Give the mask logits of the window: [T, h, w]."""
        assert self.track.logits is not None, "an entity has logits from its first window on"
        return self.track.logits

    @property
    def num_bytes(self) -> int:
        """Count the bytes of the tensors held."""
        held = [self.class_slots, self.left, *([] if self.reported is None else [self.reported])]
        return self.track.num_bytes + sum(tensor.numel() * tensor.itemsize for tensor in held)

    def state(self, frame_index: int, lost_after_frames: int, *, has_mask: bool) -> ObjectState:
        """Say what is believed of it in a frame, which may lie before the newest one."""
        if has_mask:
            return ObjectState.VISIBLE
        is_lost = frame_index - self.track.last_seen > lost_after_frames
        return ObjectState.LOST if is_lost else ObjectState.OCCLUDED

    def open_window(self, num_frames: int, num_windows: int) -> None:
        """Make room for a window: no mask in its new frames, the category and looks of the windows before.

        Args:
            num_frames: of the window.
            num_windows: so far, without this one.
        """
        added = num_frames - len(self.window_logits)
        empty = self.window_logits.new_zeros(added, *self.window_logits.shape[1:])
        self.track.logits = torch.cat([self.window_logits, empty])
        rows = self.track.embeddings
        latest = rows[-min(_RECENT, num_windows, len(rows)) :].mean(dim=0, keepdim=True)
        self.track.embeddings = torch.cat([rows[1:], latest])
        self.class_slots = torch.cat([self.class_slots, self.class_slots[-1:]])
        self.num_scored += 1

    def score_window(self, scores: Tensor) -> None:
        """Move the category scores of this window half way to others: [K]."""
        self.class_slots = torch.cat([self.class_slots[:-1], (self.class_slots[-1:] + scores) / 2])

    def score_detection(self, scores: Tensor) -> None:
        """Take in the category scores of one more detection, and forget those of the oldest: [K]."""
        self.class_slots = torch.cat([self.class_slots[1:], scores[None]])
        self.num_scored = min(self.num_scored + 1, len(self.class_slots))

    def add(self, logits: Tensor, embedding: Tensor, quality: float, last_frame: int) -> None:
        """Add a mask of the window to what is known.

        Args:
            logits: [T, h, w].
            embedding: [C], mean over the window.
            quality: stability of the mask.
            last_frame: of the window.
        """
        self.track.logits = self.window_logits + logits
        self.track.is_visible, self.track.last_seen = True, last_frame
        self.look_like(embedding)
        self.believe(quality)

    def widen(self, scores: Tensor) -> None:
        """Add the scores of categories that are new in the vocabulary: [K']."""
        self.class_slots = torch.cat([self.class_slots, scores.expand(len(self.class_slots), -1)], dim=1)
        if self.reported is not None:
            self.reported = torch.cat([self.reported, scores * self.num_reported])

    def look_like(self, embedding: Tensor) -> None:
        """Move its newest looks half way to others: [C]."""
        rows = self.track.embeddings
        self.track.embeddings = torch.cat([rows[:-1], (rows[-1:] + embedding.to(rows.dtype)) / 2])

    def believe(self, quality: float) -> None:
        """Take note of how stable a mask of it was."""
        self.quality_sum += quality
        self.num_seen += 1

    def leave(self, num_frames: int) -> None:
        """Let the first frames of the window go; they wait for their answer."""
        self.left = torch.cat([self.left, self.window_logits[:num_frames]])
        self.track.leave(num_frames)

    def answered(self, num_frames: int, num_slots: int) -> None:
        """Forget frames that were answered, and the first category scores with them; they count in the end.

        Args:
            num_frames: how many.
            num_slots: how many of the scores; one at least is kept.
        """
        self.left = self.left[num_frames:]
        if num_slots:
            self.reported = self.scores + (0 if self.reported is None else self.reported)
            self.num_reported += 1
            self.class_slots = self.class_slots[min(num_slots, len(self.class_slots) - 1) :]
            self.num_scored = len(self.class_slots)
