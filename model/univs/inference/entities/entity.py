"""What is known of one entity: how it is followed, like any prompted object, and which categories it may be."""

from dataclasses import dataclass

import torch
from torch import Tensor

from univs.inference.tracks import Track

_RECENT = 3  # windows whose looks a new one begins with


@dataclass(slots=True)
class Entity:
    """A followed object whose category was detected, not given. Its id is never used again.

    Attributes:
        track: embeddings (one row for each window), masks of the window, memory; its `logits` are those of the window.
        class_slots: [S, K], scores of the categories; their mean is what it is believed to be.
        left: [F, h, w], mask logits of frames that have left the window and are not answered yet.
        quality_sum: of its masks, over all windows.
        num_seen: how many masks that was.
        reported: [K], sum over the blocks answered so far of their mean scores.
        num_reported: how many blocks that was.
    """

    track: Track
    class_slots: Tensor
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
        return self.class_slots.mean(dim=0)

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

    def add(self, logits: Tensor, embedding: Tensor, quality: float) -> None:
        """Add a mask of the window to what is known.

        Args:
            logits: [T, h, w].
            embedding: [C], mean over the window.
            quality: stability of the mask.
        """
        self.track.logits = self.window_logits + logits
        self.look_like(embedding)
        self.believe(quality)

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
