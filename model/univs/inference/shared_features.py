"""Features of frames that several segmenters of one video look at: each is computed once."""

from dataclasses import dataclass

from torch import Tensor

from univs.inference.framing import Framing
from univs.types import ClipFeatures


@dataclass(frozen=True, slots=True)
class _Kept:
    image: Tensor
    framing: Framing
    features: ClipFeatures


class SharedFeatures:
    """Keep what was computed within one step; `forget` ends the step, so that nothing is held between two."""

    def __init__(self) -> None:
        self._kept: list[_Kept] = []

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, image: Tensor, framing: Framing) -> ClipFeatures | None:
        """Give the features of a frame that was looked at in this step: of this very picture, at these sizes."""
        for kept in self._kept:
            if kept.image is image and kept.framing == framing:
                return kept.features
        return None

    def keep(self, image: Tensor, framing: Framing, features: ClipFeatures) -> None:
        """Keep the features of a frame for the others."""
        self._kept.append(_Kept(image, framing, features))

    def forget(self) -> None:
        """Let go of all."""
        self._kept.clear()
