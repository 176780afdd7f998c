"""Embeddings that tell objects apart over time (ReID).

Source: UniVS, contrastive and auxiliary ReID losses; SPEC of the released code, 11.1.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_LARGEST_GAP = 10.0
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class IdentityLoss:
    """Two scalars."""

    contrastive: Tensor
    auxiliary: Tensor


def identity_loss(embeddings: Tensor, identities: Tensor, num_negatives: int = 20) -> IdentityLoss:
    """Pull embeddings of one object together and push those of different objects apart.

    For each row that has another row of its identity: log(1 + sum over its hardest negatives of
    exp(min(10, s_negative - s_positive))), s the scaled dot product, s_positive the mean over its positives. The
    auxiliary loss is smooth L1 between cosine, clamped at 0, and "is the same object".

    Args:
        embeddings: [N, C], of any frames and videos.
        identities: int64 [N]: equal for the same object, `-1` for rows that are nobody: negatives only.
        num_negatives: the hardest that count for one row.
    Returns:
        Means over rows; zeros where no row has a positive.
    """
    rows = embeddings.float()
    similarity = rows @ rows.T / math.sqrt(rows.shape[1])
    is_somebody = identities != _NOBODY
    same = (identities[:, None] == identities[None]) & is_somebody[:, None] & is_somebody[None]
    is_positive = same & ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    is_negative = ~same & is_somebody[:, None]
    is_anchor = is_positive.any(dim=1)
    if not bool(is_anchor.any()):
        nothing = embeddings.sum() * 0
        return IdentityLoss(nothing, nothing)

    positive = (similarity * is_positive).sum(dim=1) / is_positive.sum(dim=1).clamp(min=1)
    gap = (similarity - positive[:, None]).clamp(max=_LARGEST_GAP).masked_fill(~is_negative, -torch.inf)
    hardest = gap.topk(min(num_negatives, len(rows)), dim=1).values
    per_row = torch.log1p(hardest.exp().sum(dim=1))

    unit = functional.normalize(rows, dim=1)
    cosine = (unit @ unit.T).clamp(min=0)
    difference = functional.smooth_l1_loss(cosine, is_positive.to(cosine.dtype), reduction="none")
    is_pair = (is_positive | is_negative) & is_anchor[:, None]
    return IdentityLoss(
        contrastive=per_row[is_anchor].mean(),
        auxiliary=(difference * is_pair).sum() / is_pair.sum(),
    )
