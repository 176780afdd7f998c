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
        is_visible: whether it was visible in the newest frame.
        label: what the user calls it, if anything.
    """

    object_id: int
    embeddings: Tensor
    prior: Tensor
    revision: int = 0
    last_seen: int = -1
    is_visible: bool = False
    label: str | None = None

    @property
    def num_bytes(self) -> int:
        """Count the bytes of the tensors held."""
        return sum(tensor.numel() * tensor.itemsize for tensor in (self.embeddings, self.prior))

    def see(self, frame_index: int, embedding: Tensor, prior: Tensor) -> None:
        """Take in a frame that shows the object."""
        self._shift(embedding, prior)
        self.is_visible = True
        self.last_seen = frame_index

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

    def _shift(self, embedding: Tensor, prior: Tensor) -> None:
        self.embeddings = torch.cat([self.embeddings[1:], embedding[None].to(self.embeddings.dtype)])
        self.prior = prior.to(self.prior.dtype)
