"""Following entities by the queries that find them, without prompts or memory: the rival of the paper's tracking.

Source: MinVIS (Huang et al., NeurIPS 2022), which assigns the embeddings of a frame's queries to those before.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from univs.inference.entities.detection import Detections
from univs.inference.entities.entity import Entity
from univs.inference.entities.following import ABSENT_LOGIT
from univs.inference.entities.matching import pairs
from univs.inference.window import WindowFrame

RECENT = 2  # frames whose mean look an answer is compared with
_LEAST = -1.0  # cosine below which nobody is matched: none


def follow_queries(entities: Sequence[Entity], found: Detections, frame: WindowFrame) -> Detections:
    """Let each entity take the answer that is most like it; the sum of cosines is largest.

    Args:
        entities: N of them, which get mask, look and categories of their answers.
        found: the answers of all learnable queries in one frame.
        frame: the frame.
    Returns:
        The answers that nobody took.
    """
    if not entities:
        return found
    looks = torch.stack([recent_look(entity.track.embeddings) for entity in entities])
    taken = {pair.entity_row: pair.detection_row for pair in pairs(likeness(looks, found.embeddings[:, -1]), _LEAST)}
    for row, entity in enumerate(entities):
        if row in taken:
            _take(entity, found, taken[row], frame)
        else:
            entity.track.logits = torch.full_like(entity.window_logits, ABSENT_LOGIT)
            entity.track.miss()
    is_left = torch.ones(len(found), dtype=torch.bool, device=found.qualities.device)
    is_left[list(taken.values())] = False
    return found.rows(is_left)


def recent_look(embeddings: Tensor) -> Tensor:
    """Give the mean of the last looks of something, [V, C] -> [C]; zeros stand for frames that did not show it."""
    seen = embeddings[(embeddings != 0).any(dim=1)]
    return seen[-RECENT:].mean(dim=0) if len(seen) else embeddings[-1]


def likeness(looks: Tensor, queries: Tensor) -> Tensor:
    """Compare looks [N, C] with the embeddings of queries [D, C]: cosines [N, D]."""
    return functional.normalize(looks.to(queries), dim=1) @ functional.normalize(queries, dim=1).T


def _take(entity: Entity, found: Detections, row: int, frame: WindowFrame) -> None:
    track, logits = entity.track, found.mask_logits[row]
    track.logits = logits
    entity.score_detection(found.scores[row])
    track.presence, track.score = 1.0, float(found.qualities[row])
    if bool((logits > 0).any()):
        track.see(frame.index, frame.time_s, found.embeddings[row, -1], track.prior)
        entity.believe(track.score)
    else:
        track.miss()
