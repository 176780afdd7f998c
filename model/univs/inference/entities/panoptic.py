"""A segment for each pixel: entities that are things one by one, those that are stuff by category.

Source: SPEC section 9, "VPS output" and "Image tasks".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from univs import rle
from univs.inference.entities.entity import Entity
from univs.inference.entities.options import PanopticOptions, PanopticWeight
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.framing import Framing
from univs.types import Segment, SegmentMap

_KNOWN_SHARE = 0.5  # of the share that a thing needs when it has had a segment before


@dataclass(slots=True)
class SegmentLedger:
    """Which segment is whose, for a whole video; ids count from 1 and are never used again."""

    of_thing: dict[int, int] = field(default_factory=dict)  # object id -> segment id
    of_stuff: dict[str, int] = field(default_factory=dict)  # name of a category -> segment id

    def enter_thing(self, object_id: int) -> int:
        """Give the segment of a thing."""
        return self.of_thing.setdefault(object_id, self._next)

    def enter_stuff(self, name: str) -> int:
        """Give the segment of a category of stuff."""
        return self.of_stuff.setdefault(name, self._next)

    @property
    def _next(self) -> int:
        return 1 + len(self.of_thing) + len(self.of_stuff)


@dataclass(frozen=True, slots=True)
class Claim:
    """An entity that wants pixels."""

    object_id: int
    class_index: int
    is_thing: bool
    score: float
    weight: float


def divide(
    entities: Sequence[Entity],
    mask_logits: Tensor,
    ledger: SegmentLedger,
    vocabulary: EncodedVocabulary,
    framing: Framing,
    options: PanopticOptions,
) -> list[SegmentMap]:
    """Divide the pixels of frames among entities.

    Args:
        entities: N of them, in the order in which they enter the ledger.
        mask_logits: [N, F, h, w] of the F frames, which are judged together.
        ledger: who has which segment; new segments are entered.
        vocabulary: the categories.
        framing: sizes of the video.
        options: how.
    Returns:
        F pictures.
    """
    num_frames = mask_logits.shape[1]
    if not entities:
        return [SegmentMap(framing.frame, ())] * num_frames
    claims = _claims(entities, mask_logits, ledger, vocabulary, framing, options)
    won_area, own_area = torch.zeros(len(claims)), torch.zeros(len(claims))
    owners = []  # F times int64 [H, W], -1 where nobody owns the pixel
    for logits in mask_logits.unbind(dim=1):
        full = _enlarged(logits, framing, is_nearest=options.is_nearest)
        winner = _winner(full, full.new_tensor([claim.weight for claim in claims]), options)
        is_own = full >= 0
        own_area += is_own.flatten(1).sum(dim=1).cpu()
        won_area += torch.bincount(winner[winner >= 0], minlength=len(claims)).cpu()
        owners.append(winner.masked_fill(~is_own.gather(0, winner.clamp(min=0)[None])[0], -1))
    segment_of = _enter(claims, won_area, own_area, torch.stack(owners), ledger, vocabulary, options)
    return [_picture(owner, claims, segment_of, vocabulary) for owner in owners]


def _claims(
    entities: Sequence[Entity],
    mask_logits: Tensor,
    ledger: SegmentLedger,
    vocabulary: EncodedVocabulary,
    framing: Framing,
    options: PanopticOptions,
) -> list[Claim]:
    """Weigh entities by what they are believed to be, and things more than stuff."""
    qualities = _stabilities(mask_logits, framing, options)
    claims = []
    for entity, quality in zip(entities, qualities.tolist(), strict=True):
        scores = entity.scores
        class_index = int(scores.argmax())
        is_thing = vocabulary.is_thing[class_index] or entity.object_id in ledger.of_thing
        score = float(scores[class_index])
        weight = score * quality
        if options.weight is PanopticWeight.SOFTENED:
            weight = float((scores / options.temperature).softmax(dim=0).amax())
        discount = 1.0 if is_thing else options.stuff_discount
        claims.append(Claim(entity.object_id, class_index, is_thing, score, weight * discount))
    return claims


def _stabilities(mask_logits: Tensor, framing: Framing, options: PanopticOptions) -> Tensor:
    """Measure stability at the size of the frame, over all frames: [N, F, h, w] -> [N]."""
    inner = torch.zeros(len(mask_logits), dtype=mask_logits.dtype)
    outer = torch.zeros_like(inner)
    for logits in mask_logits.unbind(dim=1):
        flat = _enlarged(logits, framing, is_nearest=options.is_nearest).flatten(1)
        inner = inner + (flat > 1).sum(dim=1).cpu()
        outer = outer + (flat > -1).sum(dim=1).cpu()
    return inner / outer.clamp(min=1)


def _winner(logits: Tensor, weights: Tensor, options: PanopticOptions) -> Tensor:
    """Give the row of the entity that claims each pixel most, -1 where it is in no mask: int64 [H, W]."""
    claimed = logits if options.compares_logits else logits.sigmoid()
    best = (claimed * weights[:, None, None]).argmax(dim=0)
    winner: Tensor = best.masked_fill((logits < 0).all(dim=0), -1)
    return winner


def _enter(
    claims: Sequence[Claim],
    won_area: Tensor,
    own_area: Tensor,
    owners: Tensor,
    ledger: SegmentLedger,
    vocabulary: EncodedVocabulary,
    options: PanopticOptions,
) -> dict[int, int]:
    """Give the segments of the claims that hold: row -> segment id."""
    segment_of = {}
    for row, claim in enumerate(claims):
        if not bool((owners == row).any()):
            continue
        needed = options.minimum_share if claim.is_thing or options.stuff_needs_share else 0.0
        if claim.object_id in ledger.of_thing:
            needed *= _KNOWN_SHARE
        if float(won_area[row]) < needed * float(own_area[row]):
            continue
        if claim.is_thing:
            segment_of[row] = ledger.enter_thing(claim.object_id)
        else:
            segment_of[row] = ledger.enter_stuff(vocabulary.names[claim.class_index])
    return segment_of


def _picture(
    owner: Tensor, claims: Sequence[Claim], segment_of: dict[int, int], vocabulary: EncodedVocabulary
) -> SegmentMap:
    """Put together the segments of one frame: int64 [H, W], rows of claims."""
    rows_of: dict[int, list[int]] = {}
    for row, segment_id in segment_of.items():
        rows_of.setdefault(segment_id, []).append(row)
    segments = []
    for segment_id, rows in sorted(rows_of.items()):
        mask = torch.isin(owner, torch.tensor(rows, device=owner.device))
        if not bool(mask.any()):
            continue
        best = max((claims[row] for row in rows), key=lambda claim: claim.score)
        segments.append(
            Segment(
                segment_id=segment_id,
                object_id=best.object_id if best.is_thing else None,
                class_index=best.class_index,
                label=vocabulary.names[best.class_index],
                is_thing=best.is_thing,
                score=best.score,
                area_fraction=float(mask.sum()) / mask.numel(),
                mask=rle.encode(mask),
            )
        )
    return SegmentMap((owner.shape[0], owner.shape[1]), tuple(segments))


def _enlarged(logits: Tensor, framing: Framing, *, is_nearest: bool) -> Tensor:
    """Bring logits to the frame: [N, h, w] -> [N, H, W]."""
    if not is_nearest:
        return framing.enlarge(logits)
    at_padded = functional.interpolate(logits[:, None], framing.padded, mode="bilinear", align_corners=False)
    cropped = at_padded[..., : framing.resized[0], : framing.resized[1]]
    return functional.interpolate(cropped, framing.frame, mode="nearest")[:, 0]
