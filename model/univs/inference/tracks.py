"""What is known of one object while its video runs: who it is, how it looked, and whether it is in sight."""

from dataclasses import dataclass

import torch
from torch import Tensor

from univs.types import ObjectState


@dataclass(slots=True)
class Track:
    """The running record of one object, of a fixed size. Its id never changes; its place in a tensor may.

    Attributes:
        object_id: as the user named it.
        embeddings: [P, C], the newest row last; zeros for frames in which the object was not seen.
        prior: float16 [h, w] in [0, 1] on the 1/8 map: where the object was in the newest frame.
        revision: number of prompts applied so far.
        last_seen: newest frame in which the object was visible, -1 before the first.
        last_seen_s: its time in the video, seconds.
        is_visible: whether it was visible in the newest frame.
        label: what the user calls it, if anything.
        text: the expression that names it, if one does.
        first_frame: the frame of its first prompt; it has results from there on.
        prompted_frame: the frame by which it is known: the first, or a later one in which its mask was given anew.
        is_given: whether it is known by a mask.
        is_whole: whether it was one body when it was prompted last, rather than several pieces.
        score: of the newest window.
        presence: of the newest window.
        newest_mask: bool, at the size of the frame: the answer for a window of one frame, until it is given.
        logits: [W, H, W] over the padded picture, for the frames of the window that are known so far; summed over
            windows. None where windows are single frames.
    """

    object_id: int
    embeddings: Tensor
    prior: Tensor
    revision: int = 0
    last_seen: int = -1
    last_seen_s: float = 0.0
    is_visible: bool = False
    label: str | None = None
    text: str | None = None
    first_frame: int = 0
    prompted_frame: int = 0
    is_given: bool = False
    is_whole: bool = False
    score: float = 0.0
    presence: float = 0.0
    newest_mask: Tensor | None = None
    logits: Tensor | None = None

    @property
    def num_bytes(self) -> int:
        """Count the bytes of the tensors held."""
        held = (self.embeddings, self.prior, *([] if self.logits is None else [self.logits]))
        return sum(tensor.numel() * tensor.itemsize for tensor in held)

    def see(self, frame_index: int, time_s: float, embedding: Tensor, prior: Tensor) -> None:
        """Take in a frame that shows the object, and its time in the video."""
        self._shift(embedding, prior)
        self.is_visible = True
        self.last_seen, self.last_seen_s = frame_index, time_s

    def miss(self) -> None:
        """Take in a frame that does not show the object."""
        self._shift(torch.zeros_like(self.embeddings[0]), torch.zeros_like(self.prior))
        self.is_visible = False

    def state(self, frame_index: int, lost_after_frames: int) -> ObjectState:
        """Say what is believed: unseen for a short while is occluded, for longer is lost."""
        if self.is_visible:
            return ObjectState.VISIBLE
        if self.last_seen >= 0 and frame_index - self.last_seen <= lost_after_frames:
            return ObjectState.OCCLUDED
        return ObjectState.LOST

    def widen(self, num_frames: int) -> None:
        """Make room for the newest frames of a window: no mask yet, and the look of the frames just before.

        Args:
            num_frames: of the whole window.
        """
        assert self.logits is not None
        added = num_frames - len(self.logits)
        if added <= 0:
            return
        self.logits = torch.cat([self.logits, self.logits.new_zeros(added, *self.logits.shape[1:])])
        latest = self.embeddings[-added:].mean(dim=0, keepdim=True)
        self.embeddings = torch.cat([self.embeddings[added:], latest.expand(min(added, len(self.embeddings)), -1)])

    def show(self, frame_index: int, prior: Tensor, *, is_visible: bool) -> None:
        """Take note of what was answered for a frame; its looks are known already."""
        self.is_visible = is_visible
        self.prior = prior.to(self.prior.dtype)
        if is_visible:
            self.last_seen = frame_index

    def leave(self, num_frames: int) -> None:
        """Forget the first frames of the window."""
        self.newest_mask = None
        if self.logits is not None:
            self.logits = self.logits[num_frames:]

    def _shift(self, embedding: Tensor, prior: Tensor) -> None:
        self.embeddings = torch.cat([self.embeddings[1:], embedding[None].to(self.embeddings.dtype)])
        self.prior = prior.to(self.prior.dtype)
