"""Stuff among the prompted targets: sky or road has no outline to follow, so its pixels are labelled by category.

As published for panoptic VOS (SPEC section 8, "PVOS extra"): the learnable queries label every pixel of a window, and a
target that is stuff takes the pixels with the label of its category.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from univs.inference.framing import Framing
from univs.inference.quality import stability
from univs.model import UniVS
from univs.types import ClipFeatures

_STUFF_LOGIT = 10.0  # of a pixel that has the label of a target


@dataclass(frozen=True, slots=True)
class StuffCategories:
    """What pixels may be labelled as, and which targets are stuff.

    Attributes:
        vectors: [K, D], category vectors of things and of stuff; they compete for pixels.
        category_of: for each object that is stuff, its row of `vectors`; things are not in it.
    """

    vectors: Tensor
    category_of: Mapping[int, int]

    def __post_init__(self) -> None:
        wrong = {name: row for name, row in self.category_of.items() if not 0 <= row < len(self.vectors)}
        if wrong:
            raise ValueError(
                f"expected rows of the {len(self.vectors)} category vectors, got {wrong} (object: row); "
                "rows count from 0"
            )


def label_pixels(model: UniVS, features: ClipFeatures, vectors: Tensor, framing: Framing) -> Tensor:
    """Give each pixel of a clip the category that the learnable queries, taken together, see there.

    Args:
        model: the network.
        features: of the clip.
        vectors: [K, D], category vectors.
        framing: sizes of the video; stability counts pixels of the frame, not of its padding.
    Returns:
        int64 [T, H, W] over the padded picture, rows of `vectors`.
    """
    table = vectors.to(features.mask_features)
    prediction = model.decode(features, None, use_learnable=True, class_table=table)
    assert prediction.class_logits is not None
    height, width = framing.resized
    masks = [_enlarged(logits, framing) for logits in prediction.mask_logits[0].unbind(dim=1)]  # T times [Q, H, W]
    qualities = stability(torch.stack([mask[:, :height, :width] for mask in masks], dim=1))
    weights = prediction.class_logits[0].sigmoid() * qualities[:, None]  # [Q, K]
    return torch.stack([torch.einsum("qk,qhw->khw", weights, mask.sigmoid()).argmax(dim=0) for mask in masks])


def paint(mask_logits: Tensor, is_stuff: Tensor) -> Tensor:
    """Write what is certain about stuff into mask logits.

    Args:
        mask_logits: [O, T, H, W].
        is_stuff: bool [O, T, H, W].
    """
    return torch.where(is_stuff, _STUFF_LOGIT, mask_logits)


def _enlarged(logits: Tensor, framing: Framing) -> Tensor:
    return functional.interpolate(logits[None], size=framing.padded, mode="bilinear", align_corners=False)[0]
