"""The frames that are looked at together, and their features, worked out once for each frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from univs.types import ClipFeatures


@dataclass(slots=True)
class WindowFrame:
    """One frame on its way through the windows that hold it."""

    index: int
    pts: int
    time_base: Fraction
    image: Tensor | None  # uint8 [3, H, W]; None when its features are there
    features: ClipFeatures | None = None  # of this frame alone; None until an object needs them

    @property
    def time_s(self) -> float:
        """Give the frame's time in the video, in seconds."""
        return float(self.pts * self.time_base)

    @property
    def num_bytes(self) -> int:
        """Count the bytes of the picture and of its features."""
        held = [] if self.image is None else [self.image]
        if self.features is not None:
            held += [*self.features.levels, self.features.mask_features]
        return sum(tensor.numel() * tensor.itemsize for tensor in held)


def join(features: Sequence[ClipFeatures]) -> ClipFeatures:
    """Put the features of single frames together as those of a clip."""
    if len(features) == 1:
        return features[0]
    return ClipFeatures(
        levels=tuple(torch.cat(levels, dim=1) for levels in zip(*(one.levels for one in features), strict=True)),
        mask_features=torch.cat([one.mask_features for one in features], dim=1),
        frame_indices=torch.cat([one.frame_indices for one in features], dim=1),
        padded_size=features[0].padded_size,
    )
