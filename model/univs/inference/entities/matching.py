"""Which detections are entities that are followed already.

Source: UniVS, bi-softmax similarity of embeddings; SPEC section 9.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Pair:
    """An entity and the detection that is most like it."""

    entity_row: int
    detection_row: int
    similarity: float  # in [0, 1]


def similarities(entities: Tensor, detections: Tensor) -> Tensor:
    """Compare embeddings both ways: how much a detection stands out for an entity, and an entity for a detection.

    Args:
        entities: [N, V, C], the last embeddings of each.
        detections: [D, T, C].
    Returns:
        [N, D] in [0, 1], averaged over all pairs of frames.
    """
    products = torch.einsum("nvc,dtc->vtnd", entities, detections.to(entities))
    return ((products.softmax(dim=-1) + products.softmax(dim=-2)) / 2).mean(dim=(0, 1))


def pairs(similarity: Tensor, threshold: float) -> list[Pair]:
    """Assign each entity at most one detection so that the sum of similarities is largest: [N, D].

    Pairs that are no more similar than `threshold` count as nothing, and are left out.
    """
    # Imported here: scipy takes a while, and who never detects should not wait for it.
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

    counted = torch.where(similarity < threshold, 0.0, similarity)
    entity_rows, detection_rows = linear_sum_assignment(-counted.cpu().numpy())
    found = [
        Pair(int(row), int(column), float(similarity[int(row), int(column)]))
        for row, column in zip(entity_rows, detection_rows, strict=True)
    ]
    return [pair for pair in found if pair.similarity > threshold]
