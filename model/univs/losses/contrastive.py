"""Embeddings of learnable and of prompt queries that tell objects apart over time: the loss of one pairing.

Rows look for columns of their own identity among columns of others. Three pairings take part: learnable with learnable,
learnable with prompt, prompt with prompt.

Source: UniVS, contrastive and auxiliary ReID losses; SPEC of the released code, 11.1, for what the paper leaves open.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

NOBODY = -1  # identity of a column that belongs to no object: a negative for every row


@dataclass(frozen=True, slots=True)
class ContrastiveSettings:
    """How rows meet columns.

    Attributes:
        num_negatives: the hardest that count for one row.
        background_share: largest share of them that belongs to nobody.
        largest_gap: where the difference of a negative and the positive is cut.
        counts_itself: released: a row's first positive, usually the row itself, counts beside the mean of all its
            positives, the row among them. Ours: the mean of its positives but itself.
        averages_pairs: the auxiliary loss is a mean over pairs; released: a sum over the columns of a row.
        is_random: negatives are drawn instead of the hardest.
        num_positives: so many are drawn for a row; None takes all.
    """

    num_negatives: int = 20
    background_share: float = 0.25
    largest_gap: float = 10.0
    counts_itself: bool = False
    averages_pairs: bool = True
    is_random: bool = False
    num_positives: int | None = None

    def __post_init__(self) -> None:
        if self.num_negatives < 1 or not 0 <= self.background_share <= 1:
            raise ValueError(
                "need num_negatives of 1 or more and background_share in 0..1, got "
                f"{self.num_negatives} and {self.background_share}"
            )


@dataclass(frozen=True, slots=True)
class Embedded:
    """Embeddings with the object that each belongs to."""

    rows: Tensor  # [N, C]
    identities: Tensor  # int64 [N], NOBODY for background

    @property
    def of_objects(self) -> "Embedded":
        """Leave out what belongs to nobody."""
        kept = self.identities != NOBODY
        return Embedded(self.rows[kept], self.identities[kept])

    @classmethod
    def join(cls, parts: Sequence["Embedded"]) -> "Embedded":
        """Line several up, at least one."""
        return cls(torch.cat([part.rows for part in parts]), torch.cat([part.identities for part in parts]))


@dataclass(frozen=True, slots=True)
class PairingLoss:
    """Two scalars, means over the rows that have a positive."""

    contrastive: Tensor
    auxiliary: Tensor

    @classmethod
    def mean(cls, parts: Sequence["PairingLoss"]) -> "PairingLoss":
        """Average several pairings."""
        return cls(
            torch.stack([part.contrastive for part in parts]).mean(),
            torch.stack([part.auxiliary for part in parts]).mean(),
        )


def pairing_loss(
    anchors: Embedded, columns: Embedded, settings: ContrastiveSettings, *, is_same_set: bool
) -> PairingLoss:
    """Pull rows towards columns of their identity and away from the hardest others.

    For each anchor: log(1 + sum of exp(min(largest_gap, s_negative - s_positive))) over its positives and hardest
    negatives, s the dot product over sqrt(C). The auxiliary loss is smooth L1 between the cosine, clamped at 0, and "is
    the same object", over the positives and the same negatives.

    Args:
        anchors: rows of objects, none of NOBODY.
        columns: what they are compared with.
        settings: how.
        is_same_set: anchors are the columns' own first rows, so that row i is column i.
    Returns:
        Zeros, with a gradient of zero, where no anchor has a positive.
    """
    rows, others = anchors.rows.float(), columns.rows.float()
    is_positive = anchors.identities[:, None] == columns.identities[None]
    if is_same_set and not settings.counts_itself:
        is_positive = is_positive & ~torch.eye(*is_positive.shape, dtype=torch.bool, device=rows.device)
    is_anchor = is_positive.any(dim=1)
    if not bool(is_anchor.any()):
        nothing = (anchors.rows.sum() + columns.rows.sum()) * 0
        return PairingLoss(nothing, nothing)
    if settings.num_positives is not None:
        is_positive = _drawn(is_positive, settings.num_positives)
    similarity = rows @ others.T / math.sqrt(rows.shape[1])
    is_negative = anchors.identities[:, None] != columns.identities[None]
    order = torch.rand_like(similarity) if settings.is_random else similarity.detach()
    chosen = _first_of(order, is_negative, columns.identities == NOBODY, settings)
    per_row = torch.log1p(_gaps(similarity, is_positive, chosen, settings).exp().sum(dim=1))

    cosine = (functional.normalize(rows, dim=1) @ functional.normalize(others, dim=1).T).clamp(min=0)
    difference = functional.smooth_l1_loss(cosine, is_positive.to(cosine.dtype), reduction="none")
    is_pair = (is_positive | chosen) & is_anchor[:, None]
    count = is_pair.sum() if settings.averages_pairs else is_anchor.sum()
    return PairingLoss(per_row[is_anchor].mean(), (difference * is_pair).sum() / count)


def pairings_loss(
    learnable: Embedded | None, prompts: Embedded | None, settings: ContrastiveSettings, *, is_category: bool = False
) -> PairingLoss | None:
    """Average the pairings that exist: learnable with itself, learnable with prompts, prompts with themselves.

    Args:
        learnable: matched queries, then (NOBODY) those that were not.
        prompts: queries of prompts.
        settings: how.
        is_category: prompts are names of categories: the auxiliary loss of learnable with prompts is left out, because
            several objects share a category (SPEC 11.1).
    Returns:
        None where there is neither.
    """
    found = []
    if learnable is not None:
        found.append(pairing_loss(_first(learnable), learnable, settings, is_same_set=True))
    if learnable is not None and prompts is not None:
        across = pairing_loss(learnable.of_objects, prompts, settings, is_same_set=False)
        found.append(PairingLoss(across.contrastive, across.auxiliary * 0) if is_category else across)
    if prompts is not None:
        found.append(pairing_loss(_first(prompts), prompts, settings, is_same_set=True))
    return PairingLoss.mean(found) if found else None


def _first(columns: Embedded) -> Embedded:
    """Give the rows of objects, which must come first."""
    number = int((columns.identities != NOBODY).sum())
    assert not bool((columns.identities[:number] == NOBODY).any()), "rows of objects come first"
    return Embedded(columns.rows[:number], columns.identities[:number])


def _drawn(is_positive: Tensor, number: int) -> Tensor:
    """Keep at most so many of the positives of each row, drawn at random: bool [N, M]."""
    order = torch.rand(is_positive.shape, device=is_positive.device).masked_fill(~is_positive, -1.0)
    best = order.topk(min(number, is_positive.shape[1]), dim=1).indices
    return is_positive & torch.zeros_like(is_positive).scatter(1, best, True)


def _first_of(order: Tensor, is_negative: Tensor, is_background: Tensor, settings: ContrastiveSettings) -> Tensor:
    """Mark the negatives of each row that come first in an order, background up to its share: bool [N, M]."""
    num_background = int(settings.num_negatives * settings.background_share)
    chosen = torch.zeros_like(is_negative)
    for is_kind, limit in (
        (~is_background, settings.num_negatives - num_background),
        (is_background, num_background),
    ):
        candidates = order.masked_fill(~(is_negative & is_kind[None]), -torch.inf)
        best = candidates.topk(min(limit, candidates.shape[1]), dim=1)
        chosen = chosen.scatter(1, best.indices, best.values > -torch.inf) | chosen
    return chosen


def _gaps(similarity: Tensor, is_positive: Tensor, chosen: Tensor, settings: ContrastiveSettings) -> Tensor:
    """Give the cut differences of negatives and positives, minus infinity where they do not count: [N, M or 2 M]."""
    mean = (similarity * is_positive).sum(dim=1) / is_positive.sum(dim=1).clamp(min=1)
    positives = [mean]
    if settings.counts_itself:
        first = is_positive.to(torch.uint8).argmax(dim=1, keepdim=True)
        positives.append(similarity.gather(1, first)[:, 0])
    gaps = [(similarity - positive[:, None]).clamp(max=settings.largest_gap) for positive in positives]
    return torch.cat([gap.masked_fill(~chosen, -torch.inf) for gap in gaps], dim=1)
