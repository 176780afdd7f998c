"""How much a mask is believed: its stability, and whether the object still looks like itself."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def stability(mask_logits: Tensor) -> Tensor:
    """Score how little a mask depends on its threshold: #(m > 1) / max(1, #(m > -1)), in [0, 1].

    Args:
        mask_logits: [N, ...], all but the first axis belong to one mask.
    Returns:
        [N].
    Source: SPEC section 0, "quality".
    """
    flat = mask_logits.flatten(1)
    inner = (flat > 1).sum(dim=1)
    outer = (flat > -1).sum(dim=1).clamp(min=1)
    return inner.to(mask_logits.dtype) / outer.to(mask_logits.dtype)


def consistency(past: Sequence[Tensor], current: Tensor) -> float:
    """Compare an object's embedding with its past, the recent past counting more.

    Args:
        past: embeddings [C], oldest first; zero vectors stand for frames without the object and do not count.
        current: [T, C], embeddings of this clip.
    Returns:
        The weighted mean cosine in [-1, 1]; 1 when there is no past to contradict.
    Source: SPEC section 7, "Consistency test".
    """
    if not past:
        return 1.0
    history = torch.stack(list(past))  # [P, C]
    is_seen = history.abs().sum(dim=1) > 0
    if not bool(is_seen.any()):
        return 1.0
    order = torch.arange(1, len(past) + 1, device=history.device, dtype=history.dtype)
    weights = torch.exp(5 * order / len(past)) * is_seen.to(history.dtype)
    cosine = functional.cosine_similarity(history[:, None], current.to(history.dtype)[None], dim=-1).mean(dim=1)
    return float((weights / weights.sum() * cosine).sum())
