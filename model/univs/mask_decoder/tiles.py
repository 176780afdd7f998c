"""Decoding in tiles of one fixed size, so that no object's result depends on how many others there are.

Floating-point products differ with the shape of a batch, and hard attention masks amplify that. Objects that see only
themselves (`SelfAttention.BLOCKED`) are therefore decoded one video at a time in tiles of a fixed number of slots, the
last one filled up with padding: on one machine an object's result is the same to the last bit whoever is beside it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from univs.mask_decoder.decoder import MaskDecoder
from univs.mask_decoder.readout import DecodeOptions
from univs.mask_decoder.separation import SelfAttention
from univs.types import ClipFeatures, Prediction, PromptQueries, PromptTokens


def decode_in_tiles(
    decoder: MaskDecoder,
    features: ClipFeatures,
    prompts: PromptQueries,
    *,
    use_learnable: bool,
    class_table: Tensor | None,
    options: DecodeOptions,
    tile_size: int,
) -> Prediction:
    """Decode prompts `tile_size` slots at a time, and learnable queries in a pass of their own."""
    videos = []
    for video in range(len(features.mask_features)):
        image = decoder.project(_one_video(features, video))
        table = class_table[video] if class_table is not None and class_table.dim() == 3 else class_table
        parts = []
        if use_learnable:
            parts.append(decoder(image, None, use_learnable=True, class_table=table, options=options))
        num_prompts = prompts.content.shape[1]
        for start in range(0, max(num_prompts, 1), tile_size):
            part = decoder(
                image,
                _tile(prompts, video, start, tile_size),
                use_learnable=options.average_with_learnable,
                self_attention=SelfAttention.BLOCKED,
                class_table=table,
                options=options,
            )
            parts.append(_rows(part, part.num_learnable, min(tile_size, num_prompts - start)))
        videos.append(_join(parts, dim=1))
    return _join(videos, dim=0)


def _one_video(features: ClipFeatures, video: int) -> ClipFeatures:
    here = slice(video, video + 1)
    return ClipFeatures(
        tuple(level[here] for level in features.levels),
        features.mask_features[here],
        features.frame_indices[here],
        features.padded_size,
    )


def _tile(prompts: PromptQueries, video: int, start: int, size: int) -> PromptQueries:
    """Cut slots out of the prompts of one video, filled up to `size` with padding."""

    def cut(x: Tensor) -> Tensor:
        part = x[video : video + 1, start : start + size]
        missing = size - part.shape[1]
        return functional.pad(part, (0, 0) * (part.dim() - 2) + (0, missing)) if missing else part.contiguous()

    def cut_flags(flags: Tensor) -> Tensor:
        return ~cut(~flags)

    tokens = prompts.tokens
    return PromptQueries(
        kind=prompts.kind,
        content=cut(prompts.content),
        position=cut(prompts.position),
        tokens=PromptTokens(
            cut(tokens.features),
            None if tokens.positions is None else cut(tokens.positions),
            cut_flags(tokens.is_padding),
        ),
        is_padding=cut_flags(prompts.is_padding),
        mask_features=None if prompts.mask_features is None else cut(prompts.mask_features),
    )


def _rows(prediction: Prediction, start: int, number: int) -> Prediction:
    """Keep prompt rows only."""
    rows = slice(start, start + number)
    classes = prediction.class_logits
    return Prediction(
        prediction.mask_logits[:, rows],
        prediction.embeddings[:, rows],
        None if classes is None else classes[:, rows],
        num_learnable=0,
        auxiliary=tuple(_rows(earlier, start, number) for earlier in prediction.auxiliary),
    )


def _join(parts: Sequence[Prediction], dim: int) -> Prediction:
    """Put predictions behind each other: along rows (1) or along videos (0)."""
    if len(parts) == 1:
        return parts[0]
    classes = [part.class_logits for part in parts if part.class_logits is not None]
    return Prediction(
        torch.cat([part.mask_logits for part in parts], dim=dim),
        torch.cat([part.embeddings for part in parts], dim=dim),
        torch.cat(classes, dim=dim) if classes else None,
        num_learnable=parts[0].num_learnable,
        auxiliary=tuple(_join(same_layer, dim) for same_layer in zip(*(part.auxiliary for part in parts), strict=True)),
    )
