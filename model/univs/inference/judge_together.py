"""The published verdict on a window: who is recognised, who wins which pixel, and what is added to what was known."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from univs.inference.competition import NewObject, resolve_known, resolve_new
from univs.inference.framing import Framing
from univs.inference.quality import consistency, stability
from univs.inference.stuff import paint
from univs.inference.tracks import Track


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one object when a window has been decoded."""

    logits: Tensor  # [T, H, W] over the padded picture: sums of earlier windows, 1 where a mask was given
    embeddings: Tensor  # [P, C], the rows of this window last
    num_past: int  # how many of the rows lie in the video at all
    position: int | None  # of its first frame in the window; None when it appeared before
    is_given: bool  # by a mask
    competes: bool  # visual prompts do, expressions do not
    stuff: Tensor | None = None  # bool [T, H, W]: pixels labelled as what it is; None for things


def known_of(track: Track, frame_indices: Sequence[int], num_past: int, stuff: Tensor | None = None) -> Known:
    """Say what is known of an object before a window is judged.

    Args:
        track: its record, made as wide as the window.
        frame_indices: of the window.
        num_past: how many rows of its embeddings lie in the video.
        stuff: bool [T, H, W], the pixels that have the label of its category, if it is stuff.
    """
    assert track.logits is not None
    is_new = track.prompted_frame in frame_indices
    return Known(
        logits=track.logits,
        embeddings=track.embeddings,
        num_past=num_past,
        position=frame_indices.index(track.prompted_frame) if is_new else None,
        is_given=track.is_given,
        competes=track.text is None,
        stuff=stuff,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of it afterwards."""

    logits: Tensor  # [T, H, W]
    embeddings: Tensor  # [P, C]
    score: float
    presence: float


def judge_together(
    objects: Sequence[Known], mask_logits: Tensor, embeddings: Tensor, framing: Framing, threshold: float
) -> list[Verdict]:
    """Decide on all objects of a window.

    Args:
        objects: O of them.
        mask_logits: [O, T, H/4, W/4] of the decoder.
        embeddings: [O, T, C] of the decoder.
        framing: sizes of the video; stability counts pixels of the frame, not of its padding.
        threshold: consistency above which an object is recognised.
    """
    masks = functional.interpolate(mask_logits, size=framing.padded, mode="bilinear", align_corners=False)
    qualities = stability(masks[..., : framing.resized[0], : framing.resized[1]])
    is_certain = _stuff(objects, masks)
    if is_certain is not None:
        masks = paint(masks, is_certain)
    verdicts: list[Verdict | None] = [None] * len(objects)
    for row, known in enumerate(objects):
        if known.position is not None and not known.is_given:  # a box, points, a text: nothing to compare with
            logits = torch.cat([known.logits[: known.position], masks[row, known.position :]])
            verdicts[row] = _verdict(known, logits, embeddings[row], 1.0, float(qualities[row]))
    new = [row for row, known in enumerate(objects) if known.position is not None and known.is_given]
    for row, verdict in zip(new, _judge_new(objects, new, masks, embeddings, qualities, is_certain), strict=True):
        verdicts[row] = verdict
    old = [row for row, known in enumerate(objects) if known.position is None]
    judged = _judge_old(objects, old, masks, embeddings, qualities, is_certain, threshold)
    for row, verdict in zip(old, judged, strict=True):
        verdicts[row] = verdict
    return [verdict for verdict in verdicts if verdict is not None]


def _stuff(objects: Sequence[Known], masks: Tensor) -> Tensor | None:
    """Gather the pixels that are certain: bool [O, T, H, W], None when no object is stuff."""
    if all(known.stuff is None for known in objects):
        return None
    nothing = torch.zeros_like(masks[0], dtype=torch.bool)
    return torch.stack([nothing if known.stuff is None else known.stuff for known in objects])


def _judge_new(
    objects: Sequence[Known],
    rows: list[int],
    masks: Tensor,
    embeddings: Tensor,
    qualities: Tensor,
    is_certain: Tensor | None,
) -> list[Verdict]:
    """Believe frames after the given mask where the prediction agrees with it; the given frame stays as it is."""
    if not rows:
        return []
    given = []
    for row in rows:
        position = objects[row].position
        assert position is not None
        given.append(NewObject(objects[row].logits[position] > 0, position, objects[row].stuff is not None))
    divided = resolve_new(masks[rows], given, qualities[rows], None if is_certain is None else is_certain[rows])
    verdicts = []
    for row, new, resolved in zip(rows, given, divided, strict=True):
        known = objects[row]
        logits = known.logits
        if resolved is not None:
            after = new.position + 1
            logits = torch.cat([logits[:after], resolved[after:]])
        verdicts.append(_verdict(known, logits, embeddings[row], 1.0, float(qualities[row])))
    return verdicts


def _judge_old(
    objects: Sequence[Known],
    rows: list[int],
    masks: Tensor,
    embeddings: Tensor,
    qualities: Tensor,
    is_certain: Tensor | None,
    threshold: float,
) -> list[Verdict]:
    """Add the logits of those that still look like themselves; the others leave zeros, also among the embeddings."""
    if not rows:
        return []
    similarities = [
        consistency(list(objects[row].embeddings[-objects[row].num_past :]), embeddings[row]) for row in rows
    ]
    is_known = masks.new_tensor([similarity > threshold for similarity in similarities])
    recognised = masks[rows] * is_known[:, None, None, None]
    competing = [place for place, row in enumerate(rows) if objects[row].competes]
    if competing:
        recognised[competing] = resolve_known(
            recognised[competing],
            (masks.new_tensor(similarities) * is_known)[competing],
            (qualities[rows] * is_known)[competing],
            None if is_certain is None else is_certain[[rows[place] for place in competing]],
        )
    verdicts = []
    for place, row in enumerate(rows):
        known = objects[row]
        current = embeddings[row] * is_known[place]
        before = known.embeddings[-len(current) :]
        is_seen = (before != 0).any(dim=1, keepdim=True)
        mixed = torch.where(is_seen, (before + current) / 2, current)
        presence = max(0.0, similarities[place]) * float(is_known[place])
        verdicts.append(_verdict(known, known.logits + recognised[place], mixed, presence, float(qualities[row])))
    return verdicts


def _verdict(known: Known, logits: Tensor, current: Tensor, presence: float, quality: float) -> Verdict:
    rows = torch.cat([known.embeddings[: -len(current)], current.to(known.embeddings.dtype)])
    return Verdict(logits, rows, min(1.0, presence * quality), min(1.0, presence))
