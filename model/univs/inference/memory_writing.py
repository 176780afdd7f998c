"""When the tokens of an object are written into the memory, and from which frames.

Ours: after a frame has been judged, from that frame. Published: before a window is decoded, from the masks that earlier
windows gave its frames, and the newest frames stand in with the tokens of the last one that has a mask.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from univs.inference.judge_alone import Judgement, as_batch
from univs.inference.tracks import Track
from univs.memory_pool import MemoryPool
from univs.prompt_encoder.tokens import PADDING, ObjectTokens, VisualTokens
from univs.prompt_encoder.visual import SamplerOptions, sample_masks
from univs.types import ClipFeatures


def write_judged(
    pool: MemoryPool,
    features: ClipFeatures,
    tracks: Sequence[Track],
    judgements: Sequence[Judgement],
    prompted: set[int],
    sampler: SamplerOptions,
    minimum_quality: float,
) -> None:
    """Write tokens of what was seen in one frame, gathered from that frame.

    Args:
        pool: the memory.
        features: of the frame.
        tracks: objects.
        judgements: one for each.
        prompted: ids of those whose prompt lies in this frame: it becomes their first appearance. What a text names
            appears first where it is first seen.
        sampler: how many tokens, which cells.
        minimum_quality: masks less stable than this leave no tokens.
    """
    index = features.frame_indices[:, 0]
    tokens = sample_masks(features.levels[-1][:, 0], as_batch(judgements), index, sampler)
    for row, (track, judgement) in enumerate(zip(tracks, judgements, strict=True)):
        if not judgement.is_visible:
            continue
        own = take_row(tokens, row)
        is_first_sighting = track.text is not None and track.last_seen < 0
        if track.object_id in prompted or is_first_sighting:
            pool.write_first(track.object_id, own)
        elif judgement.quality >= minimum_quality:
            pool.write(track.object_id, own)


def write_window(
    pool: MemoryPool,
    features: ClipFeatures,
    tracks: Sequence[Track],
    num_sampled: int,
    sampler: SamplerOptions,
    *,
    is_new_start: bool = False,
) -> None:
    """Write tokens for all frames of a window from the masks that its first frames already have.

    A frame without a mask takes the tokens of the latest frame before it that has one; where there is none, it keeps
    the tokens it had, or is blank.

    Args:
        pool: the memory; it knows all of the objects.
        features: of the window.
        tracks: objects, with the logits of the window.
        num_sampled: how many of the frames are looked at.
        sampler: how many tokens, which cells.
        is_new_start: the video went on after its windows were ended early: what was seen last stands in at first.
    """
    masks = torch.stack([track.logits for track in tracks if track.logits is not None]) > 0  # [O, T, H, W]
    sampled = [
        sample_masks(features.levels[-1][:, frame], masks[None, :, frame], features.frame_indices[:, frame], sampler)
        for frame in range(num_sampled)
    ]
    has_mask = masks.flatten(2).any(dim=2)
    indices = features.frame_indices[0].tolist()
    for row, track in enumerate(tracks):
        latest = pool.newest(track.object_id) if is_new_start and track.prompted_frame < indices[0] else None
        for frame, index in enumerate(indices):
            if frame < num_sampled and bool(has_mask[row, frame]):
                latest = take_row(sampled[frame], row)
            if latest is not None:
                tokens = for_frame(latest, index)
            elif pool.holds(track.object_id, index):
                continue
            else:
                tokens = blank_tokens(pool, index)
            pool.write(track.object_id, tokens)
            if index == track.prompted_frame:
                pool.write_first(track.object_id, tokens)


def blank_tokens(pool: MemoryPool, frame_index: int) -> ObjectTokens:
    """Give tokens of a frame that shows nothing of an object: [1, R] and [1, R'], all padding."""
    shape = pool.shape
    index = torch.tensor([frame_index], device=pool.device)

    def blank(number: int) -> VisualTokens:
        return VisualTokens(
            torch.zeros(1, number, shape.channels, dtype=pool.dtype, device=pool.device),
            torch.full((1, number), PADDING, device=pool.device),
            index,
            index,
            shape.grid_size,
        )

    return ObjectTokens(blank(shape.num_foreground), blank(shape.num_background))


def for_frame(tokens: ObjectTokens, frame_index: int) -> ObjectTokens:
    """Let tokens stand for another frame than the one they were gathered from."""

    def stand(part: VisualTokens) -> VisualTokens:
        index: Tensor = torch.full_like(part.frame_indices, frame_index)
        return VisualTokens(part.features, part.cells, index, part.source_indices, part.grid_size)

    return ObjectTokens(stand(tokens.foreground), stand(tokens.background))


def take_row(tokens: ObjectTokens, row: int) -> ObjectTokens:
    """Take one object of the first video: [1, O, P, R] -> [P, R]."""

    def take(part: VisualTokens) -> VisualTokens:
        return VisualTokens(
            part.features[0, row],
            part.cells[0, row],
            part.frame_indices[0, row],
            part.source_indices[0, row],
            part.grid_size,
        )

    return ObjectTokens(take(tokens.foreground), take(tokens.background))
