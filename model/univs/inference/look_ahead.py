"""See the frame to come on another core, while the present one is decoded.

What the network sees of a frame depends on no other frame, so it can be worked out early; the result is the same.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor

from univs.inference.framing import Framing
from univs.model import UniVS
from univs.types import ClipFeatures, ClipWords


def see(
    model: UniVS, framing: Framing, image: Tensor, frame_index: int, words: ClipWords | None = None
) -> ClipFeatures:
    """Give the features of one frame, uint8 [3, H, W], with words if the network listens to some."""
    images = framing.shrink(image[None].to(model.device))
    return model.encode_frames(images[None], torch.tensor([[frame_index]], device=model.device), words)


_MOST = 2  # the frame whose turn it is, and the one after it


class LookAhead:
    """Frames that are being looked at before their turn."""

    def __init__(self, model: UniVS, framing: Framing) -> None:
        self._model = model
        self._framing = framing
        self._begun: list[tuple[Tensor, Future[ClipFeatures]]] = []

    def begin(self, image: Tensor, frame_index: int) -> None:
        """Look at a frame on the other thread; of frames that were begun and never taken the oldest are forgotten."""
        if not any(known is image for known, _ in self._begun):
            self._begun.append((image, _other_thread().submit(self._see, image, frame_index)))
            self._forget(len(self._begun) - _MOST)

    def take(self, image: Tensor) -> ClipFeatures | None:
        """Give what was seen in this very picture, waiting for it; None when it was not begun."""
        for position, (known, seen) in enumerate(self._begun):
            if known is image:
                features = seen.result()
                self._forget(position + 1)
                return features
        return None

    def _forget(self, number: int) -> None:
        for _, seen in self._begun[: max(0, number)]:
            seen.cancel()
        self._begun = self._begun[max(0, number) :]

    def _see(self, image: Tensor, frame_index: int) -> ClipFeatures:
        with torch.inference_mode():
            return see(self._model, self._framing, image, frame_index)


@cache
def _other_thread() -> ThreadPoolExecutor:
    """Give the thread that all videos of the process share."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="univs-look-ahead")
