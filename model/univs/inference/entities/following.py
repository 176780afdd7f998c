"""Recognising entities as prompts, window after window, in the two ways in which prompted objects are judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from univs.inference.competition import winners
from univs.inference.decoding import decode_tracks
from univs.inference.entities.entity import Entity
from univs.inference.entities.options import EntityOptions
from univs.inference.framing import Framing
from univs.inference.judged_frame import judge_frame
from univs.inference.memory_writing import write_window
from univs.inference.quality import consistency, stability
from univs.inference.video_memory import VideoMemory
from univs.inference.window import WindowFrame
from univs.model import UniVS
from univs.types import ClipFeatures

ABSENT_LOGIT = -100.0  # of an entity that is not in the frame


@dataclass(frozen=True, slots=True)
class WindowPlace:
    """Where a window lies in its video."""

    first_frame: int
    num_known: int  # frames at its start that were in a window before
    num_windows: int  # before this one


def follow_alone(
    model: UniVS,
    frame: WindowFrame,
    features: ClipFeatures,
    entities: Sequence[Entity],
    memory: VideoMemory,
    framing: Framing,
    options: EntityOptions,
) -> None:
    """Decode one frame and judge each entity for itself, as prompted objects are; remember what was seen."""
    tracks = [entity.track for entity in entities]
    prediction = decode_tracks(model, features, tracks, memory.pool, {}, options.inference)
    judgements = judge_frame(frame, features, tracks, prediction, {}, memory, framing, options.inference)
    for row, (entity, judgement) in enumerate(zip(entities, judgements, strict=True)):
        logits = prediction.mask_logits[0, row]
        if judgement.is_visible:
            entity.track.logits = torch.where(judgement.coarse, logits, logits.clamp(max=0))
            entity.believe(judgement.quality)
        else:
            entity.track.logits = torch.full_like(logits, ABSENT_LOGIT)


def follow_together(
    model: UniVS,
    features: ClipFeatures,
    entities: Sequence[Entity],
    memory: VideoMemory,
    framing: Framing,
    options: EntityOptions,
    place: WindowPlace,
) -> None:
    """Decode a window and add the masks of entities that are recognised, as published.

    Args:
        model: the network.
        features: of the window.
        entities: at least one.
        memory: their tokens.
        framing: sizes of the video; stability counts pixels of the frame, not of its padding.
        options: how.
        place: of the window.
    """
    num_frames = features.mask_features.shape[1]
    for entity in entities:
        entity.open_window(num_frames, place.num_windows)
    tracks = [entity.track for entity in entities]
    last_frame = place.first_frame + num_frames - 1
    if options.following.takes_late_tokens and (place.num_windows == 1 or num_frames == 1):
        num_late = min(num_frames - place.num_known, len(entities[0].left))
        left = torch.stack([entity.left[-num_late:] for entity in entities])
        memory.write_late(features, tracks, left > 0, place.first_frame)
    write_window(memory.pool, features, tracks, place.num_known, memory.sampler)
    prediction = decode_tracks(model, features, tracks, memory.pool, {}, options.inference)
    masks = functional.interpolate(prediction.mask_logits[0], size=framing.padded, mode="bilinear", align_corners=False)
    embeddings = prediction.embeddings[0]
    qualities = stability(masks[..., : framing.resized[0], : framing.resized[1]])
    num_past = min(place.num_windows + 1, len(tracks[0].embeddings))
    alike = masks.new_tensor(
        [consistency(list(track.embeddings[-num_past:]), embeddings[row]) for row, track in enumerate(tracks)]
    )
    threshold = options.inference.consistency_threshold
    if options.following.eases_early and place.first_frame < options.inference.clip_length:
        threshold /= 2
    is_known = alike > threshold
    if options.following.minimum_share is not None:
        beliefs = torch.stack([entity.scores.amax() for entity in entities]).to(masks)
        shares = _shares(masks, beliefs * alike * qualities * is_known)
        is_known = is_known & (shares > options.following.minimum_share)
    for row, entity in enumerate(entities):
        presence = max(0.0, float(alike[row]))
        entity.track.presence, entity.track.score = presence, presence * float(qualities[row])
        entity.track.is_visible = bool(is_known[row])
        if entity.track.is_visible:
            entity.add(masks[row], embeddings[row].mean(dim=0), float(qualities[row]), last_frame)


def _shares(masks: Tensor, weights: Tensor) -> Tensor:
    """Tell how much of its own area each wins: [O, T, H, W] and [O] -> [O]."""
    own = masks > 0
    won = (winners(masks, weights) & own).flatten(1).sum(dim=1)
    return won / own.flatten(1).sum(dim=1).clamp(min=1)
