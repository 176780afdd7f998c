"""Decode objects that are named by expressions, with or without what has been seen of them before.

Source: UniVS, prompts by language; SPEC sections 5.2, 6 and 8 for what the paper leaves open.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from univs.layers.position_encoding import encode_cells
from univs.mask_decoder.readout import DecodeOptions
from univs.mask_decoder.separation import SelfAttention
from univs.model import UniVS
from univs.object_decoding import ObjectPrediction
from univs.prompt_encoder.queries import newest_slots
from univs.prompt_encoder.text import TextFeatures
from univs.prompt_encoder.tokens import VisualTokens
from univs.types import ClipFeatures, PromptQueries, PromptTokens


class EarlierMasks(StrEnum):
    """What an expression's own earlier masks add to its words in the prompt cross-attention."""

    NOTHING = "nothing"  # published, as it was run
    LOOKS = "looks"  # ours: the features of all remembered tokens
    PLACES = "places"  # published, switched on: position encodings of the newest mask's cells, without any features


@dataclass(frozen=True, slots=True)
class ExpressionDecodeOptions:
    """How expressions are decoded; they never see each other.

    Attributes:
        earlier_masks: what they add to the words.
        average_with_learnable: each mask is averaged with that of the most similar learnable query, in every layer.
        blanks_attend: empty visual tokens of remembered frames attend as zeros.
        tile: expressions decoded in one pass, padded up to it; None decodes all at once.
    """

    earlier_masks: EarlierMasks = EarlierMasks.LOOKS
    average_with_learnable: bool = False
    blanks_attend: bool = False
    tile: int | None = None


def decode_expressions(
    model: UniVS,
    features: ClipFeatures,
    expressions: TextFeatures,
    tokens: VisualTokens | None,
    options: ExpressionDecodeOptions,
) -> ObjectPrediction:
    """Give masks, embeddings and presence of what expressions name.

    Args:
        model: the network.
        features: a clip of T frames of one video.
        expressions: O of them.
        tokens: visual tokens [1, O, P, R] of their earlier masks, or None.
        options: how.
    """
    nothing = torch.zeros(1, len(expressions.sentences), dtype=torch.bool, device=features.mask_features.device)
    word_padding = None if expressions.is_padding is None else expressions.is_padding[None]
    queries = model.text_queries.expressions(
        features, expressions.sentences[None], expressions.words[None], nothing, word_padding
    )
    if tokens is not None and options.earlier_masks is not EarlierMasks.NOTHING:
        seen = _looks(tokens) if options.earlier_masks is EarlierMasks.LOOKS else _places(tokens, features)
        blanks_attend = options.blanks_attend & _has_past(tokens, features)
        queries = replace(queries, tokens=_with_seen(queries, seen, blanks_attend))
    return decode_queries(model, features, queries, options)


def decode_queries(
    model: UniVS,
    features: ClipFeatures,
    queries: PromptQueries,
    options: ExpressionDecodeOptions,
    *,
    with_auxiliary: bool = False,
) -> ObjectPrediction:
    """Give masks, embeddings and presence for the queries of expressions, of any number of videos.

    Args:
        model: the network.
        features: a clip of T frames.
        queries: of `UniVS.text_queries`.
        options: how.
        with_auxiliary: also give the predictions of earlier layers; not with the learnable queries.
    """
    prediction = model.decode(
        features,
        queries,
        use_learnable=options.average_with_learnable,
        self_attention=SelfAttention.BLOCKED,
        options=DecodeOptions(average_with_learnable=options.average_with_learnable, with_auxiliary=with_auxiliary),
        tile_size=options.tile,
    )
    masks = prediction.mask_logits[:, prediction.num_learnable :]
    embeddings = prediction.embeddings[:, prediction.num_learnable :]
    presence = model.presence(embeddings, masks) if model.presence is not None else None
    return ObjectPrediction(masks, embeddings, presence, prediction.auxiliary)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What earlier masks say, in each frame of the clip or, with an axis of 1, in all."""

    rows: Tensor  # [1, O, T, L, C]; zeros where blank
    is_padding: Tensor  # bool [1, O, T, L]: of frames that are not remembered
    is_blank: Tensor  # bool [1, O, T, L]: of frames that showed nothing


def _looks(tokens: VisualTokens) -> _Seen:
    """Give the features of all remembered tokens; they have no place, as words have none."""
    is_padding = (tokens.frame_indices < 0)[..., None].expand_as(tokens.cells)
    flat = (part.flatten(2, 3)[:, :, None] for part in (tokens.features, is_padding, tokens.is_padding))
    return _Seen(*flat)


def _places(tokens: VisualTokens, features: ClipFeatures) -> _Seen:
    """Encode, for each frame of the clip, the cells of the newest remembered mask."""
    newest = newest_slots(tokens, features.frame_indices)  # [1, O, T, P]
    slot = newest.long().argmax(dim=-1)  # [1, O, T]
    row = slot[..., None].expand(*slot.shape, tokens.cells.shape[-1])
    is_blank = tokens.is_padding.gather(2, row)
    sources = tokens.source_indices.gather(2, slot)[..., None]
    places = encode_cells(tokens.places.gather(2, row), sources, tokens.grid_size, tokens.features)
    is_padding = ~newest.any(dim=-1, keepdim=True).expand_as(is_blank)
    is_blank = is_blank | is_padding
    return _Seen(places * ~is_blank[..., None], is_padding, is_blank)


def _has_past(tokens: VisualTokens, features: ClipFeatures) -> Tensor:
    """Tell which expressions were looked for before this clip: bool [1, O]."""
    times = tokens.frame_indices
    return ((times >= 0) & (times < features.frame_indices[:, :1, None])).any(dim=-1)


def _with_seen(queries: PromptQueries, seen: _Seen, blanks_attend: Tensor) -> PromptTokens:
    """Put what was seen before the words; blanks attend where bool [1, O] says so."""
    words = queries.tokens
    num_frames = words.features.shape[2]
    rows = seen.rows.expand(-1, -1, num_frames, -1, -1)
    is_padding = torch.where(blanks_attend[..., None, None], seen.is_padding, seen.is_blank)
    is_padding = is_padding.expand(-1, -1, num_frames, -1)
    return PromptTokens(
        torch.cat([rows, words.features], dim=3), None, torch.cat([is_padding, words.is_padding], dim=3)
    )
