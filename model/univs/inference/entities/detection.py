"""Finding entities: the learnable queries of a window, measured, and those that are worth a closer look.

Source: SPEC section 9, "Detection".
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from univs.inference.entities.options import DetectionOptions, Measured, Suppression
from univs.inference.entities.suppression import box_overlaps, kept, mask_boxes, mask_overlaps
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.framing import Framing
from univs.inference.quality import stability
from univs.model import UniVS
from univs.types import ClipFeatures


@dataclass(frozen=True, slots=True)
class Detections:
    """D answers of learnable queries for one window."""

    mask_logits: Tensor  # [D, T, H/4, W/4]
    embeddings: Tensor  # [D, T, C]
    scores: Tensor  # [D, K] in [0, 1]: probability of each category times stability
    qualities: Tensor  # [D], stability

    def __len__(self) -> int:
        return len(self.qualities)

    @property
    def best(self) -> Tensor:
        """Give the score of the best category: [D]."""
        return self.scores.amax(dim=1)

    @property
    def categories(self) -> Tensor:
        """Give the best category: int64 [D]."""
        return self.scores.argmax(dim=1)

    def rows(self, rows: Tensor) -> "Detections":
        """Take some of them, in the order of `rows` (int64, or bool [D])."""
        return Detections(self.mask_logits[rows], self.embeddings[rows], self.scores[rows], self.qualities[rows])


def detect(
    model: UniVS, features: ClipFeatures, vocabulary: EncodedVocabulary, framing: Framing, measured: Measured
) -> Detections:
    """Ask all learnable queries about a window.

    Args:
        model: the network.
        features: of the window, of one video.
        vocabulary: the categories to score.
        framing: sizes of the video.
        measured: where stability is counted.
    """
    table = vocabulary.vectors.to(features.mask_features)
    prediction = model.decode(features, None, use_learnable=True, class_table=table)
    assert prediction.class_logits is not None
    masks = prediction.mask_logits[0]
    qualities = _qualities(masks, framing, measured)
    probabilities = prediction.class_logits[0, :, : len(vocabulary)].sigmoid()
    return Detections(masks, prediction.embeddings[0], probabilities * qualities[:, None], qualities)


def candidates(
    found: Detections, vocabulary: EncodedVocabulary, options: DetectionOptions, *, is_first: bool
) -> Detections:
    """Take those that may be entities, each once; the best first, unless all are taken as they are."""
    if not is_first and not options.filters_later:
        return found
    best = found.best.masked_fill(found.qualities <= options.minimum_quality, -1.0)
    order = best.argsort(descending=True, stable=True)[: options.max_candidates]
    found = found.rows(order[best[order] >= 0])
    if options.suppression is not Suppression.THINGS_BY_BOX_STUFF_BY_MASK:
        is_same_matters = options.suppression is Suppression.BOXES_OF_CATEGORY
        return _without_equal_boxes(found, options.box_overlap, of_category=is_same_matters)
    is_thing = vocabulary.things.to(found.scores.device)[found.categories]
    things = found.rows(is_thing.nonzero()[: options.max_things, 0])
    stuff = found.rows((~is_thing).nonzero()[: options.max_stuff, 0])
    return _joined(
        _without_equal_boxes(things, options.box_overlap, of_category=False),
        _without_equal_masks(stuff, options.stuff_overlap),
    )


def _qualities(masks: Tensor, framing: Framing, measured: Measured) -> Tensor:
    """Measure stability over all frames: [N, T, H/4, W/4] -> [N]. Enlarged one by one, to stay small."""
    if measured is Measured.MAP:
        return stability(masks)

    def enlarged(mask: Tensor) -> Tensor:
        at_padded = functional.interpolate(mask[None], size=framing.padded, mode="bilinear", align_corners=False)
        if measured is Measured.PADDED:
            return at_padded
        return functional.interpolate(
            at_padded[..., : framing.resized[0], : framing.resized[1]], size=framing.frame, mode="nearest"
        )

    return torch.cat([stability(enlarged(mask)) for mask in masks])


def _without_equal_boxes(found: Detections, threshold: float, *, of_category: bool) -> Detections:
    overlaps = box_overlaps(mask_boxes(found.mask_logits > 0))
    if of_category:
        overlaps = overlaps * (found.categories[:, None] == found.categories[None])
    return found.rows(kept(overlaps, threshold))


def _without_equal_masks(found: Detections, threshold: float) -> Detections:
    masks = found.mask_logits[:, :1] > 0
    return found.rows(kept(mask_overlaps(masks, masks)[..., 0], threshold))


def _joined(left: Detections, right: Detections) -> Detections:
    return Detections(
        torch.cat([left.mask_logits, right.mask_logits]),
        torch.cat([left.embeddings, right.embeddings]),
        torch.cat([left.scores, right.scores]),
        torch.cat([left.qualities, right.qualities]),
    )
