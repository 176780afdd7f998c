"""What the entities of a whole video are believed to be, the surest first: several categories each, if they may be."""

from collections.abc import Sequence

import torch
from torch import Tensor

from univs.inference.entities.entity import Entity
from univs.inference.entities.options import Ranking, RankingOptions
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.types import RankedEntity

_PROBABLE = 0.05
_PER_PROBABLE = 1.5  # results kept for each pair that is more probable than this


def rank(
    entities: Sequence[Entity], vocabulary: EncodedVocabulary, options: RankingOptions
) -> tuple[RankedEntity, ...]:
    """Give the most probable pairs of an entity and a category that is a thing, best first."""
    if not entities:
        return ()
    scores = torch.stack([_overall(entity) for entity in entities])
    scores = scores * _factors(entities, options.by).to(scores)[:, None]
    scores = scores.masked_fill(~vocabulary.things.to(scores.device), -1.0)
    num_probable = int((scores > _PROBABLE).sum())
    limit = max(options.max_results, int(_PER_PROBABLE * num_probable) if options.keeps_probable else 0)
    best, places = scores.flatten().sort(descending=True, stable=True)
    ranked = []
    for score, place in zip(best[:limit].tolist(), places[:limit].tolist(), strict=True):
        if score < max(0.0, options.minimum_score):
            break
        row, class_index = divmod(place, len(vocabulary))
        ranked.append(RankedEntity(entities[row].object_id, class_index, vocabulary.names[class_index], score))
    return tuple(ranked)


def _overall(entity: Entity) -> Tensor:
    if entity.reported is None:
        return entity.scores
    return entity.reported / entity.num_reported


def _factors(entities: Sequence[Entity], by: Ranking) -> Tensor:
    """Say how well each entity was seen: [N]."""
    if by is Ranking.TOTAL_QUALITY:
        sums = torch.tensor([entity.quality_sum for entity in entities], dtype=torch.float64)
        return sums / (1 + sums.max().floor())
    if by is Ranking.MEAN_QUALITY:
        return torch.tensor([entity.quality for entity in entities], dtype=torch.float64)
    return torch.ones(len(entities), dtype=torch.float64)
