"""A category for each pixel."""

import torch
from torch import Tensor
from torch.nn import functional

from univs import rle
from univs.inference.entities.options import SemanticOptions, SemanticResize
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.framing import Framing
from univs.types import Segment, SegmentMap

_STRIP_VALUES = 1 << 26  # categories x pixels that are looked at in one go


def category_scores(scores: Tensor, mask_logits: Tensor, framing: Framing, options: SemanticOptions) -> Tensor:
    """Add up what masks say of each pixel of a frame.

    Args:
        scores: [N, K] of their categories.
        mask_logits: [N, h, w].
        framing: sizes of the video.
        options: how.
    Returns:
        [K, H, W].
    """
    return _summed(_weights(scores, options), _probabilities(mask_logits, framing, options))


def semantic_map(
    scores: Tensor,
    mask_logits: Tensor,
    vocabulary: EncodedVocabulary,
    framing: Framing,
    options: SemanticOptions,
    *,
    has_void: bool,
) -> SegmentMap:
    """Give each pixel of a frame the category that scores best there.

    Args:
        scores: [N, K] of the masks' categories.
        mask_logits: [N, h, w].
        vocabulary: the categories.
        framing: sizes of the video.
        options: how.
        has_void: pixels in no mask get no category.
    """
    if not len(scores):
        return SegmentMap(framing.frame, ())
    weights, probabilities = _weights(scores, options), _probabilities(mask_logits, framing, options)
    rows = max(1, _STRIP_VALUES // (weights.shape[1] * framing.frame[1]))
    labels, shares = [], []
    for strip in torch.split(probabilities, rows, dim=1):
        summed = _summed(weights, strip)
        best = summed.max(dim=0)
        is_void = has_void & (strip < 0.5).all(dim=0)
        labels.append(best.indices.masked_fill(is_void, -1))
        shares.append(best.values / summed.sum(dim=0).clamp(min=torch.finfo(summed.dtype).tiny))
    return _segments(torch.cat(labels), torch.cat(shares), vocabulary)


def _segments(labels: Tensor, shares: Tensor, vocabulary: EncodedVocabulary) -> SegmentMap:
    """Take a picture of categories apart: int64 [H, W], -1 for none, and how much of the score each pixel's got."""
    segments = []
    for category in torch.unique(labels).tolist():
        if category < 0:
            continue
        mask = labels == category
        segments.append(
            Segment(
                segment_id=category + 1,
                object_id=None,
                class_index=category,
                label=vocabulary.names[category],
                is_thing=vocabulary.is_thing[category],
                score=float(shares[mask].mean()),
                area_fraction=float(mask.sum()) / mask.numel(),
                mask=rle.encode(mask),
            )
        )
    return SegmentMap((labels.shape[0], labels.shape[1]), tuple(segments))


def _weights(scores: Tensor, options: SemanticOptions) -> Tensor:
    return scores if options.temperature is None else (scores / options.temperature).softmax(dim=1)


def _summed(weights: Tensor, probabilities: Tensor) -> Tensor:
    return torch.einsum("nk,nhw->khw", weights, probabilities)


def _probabilities(mask_logits: Tensor, framing: Framing, options: SemanticOptions) -> Tensor:
    at_padded = functional.interpolate(mask_logits[:, None], framing.padded, mode="bilinear", align_corners=False)
    if options.resize is SemanticResize.PROBABILITIES_SMOOTH:
        at_padded = at_padded.sigmoid()
    cropped = at_padded[..., : framing.resized[0], : framing.resized[1]]
    if options.resize is SemanticResize.LOGITS_NEAREST:
        return functional.interpolate(cropped, framing.frame, mode="nearest")[:, 0].sigmoid()
    return functional.interpolate(cropped, framing.frame, mode="bilinear", align_corners=False)[:, 0]
