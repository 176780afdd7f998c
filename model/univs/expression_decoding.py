"""Decode objects that are named by expressions, with or without what has been seen of them before.

Source: UniVS, prompts by language; SPEC sections 5.2, 6 and 8 for what the paper leaves open.
"""

from dataclasses import dataclass, replace

import torch

from univs.mask_decoder.readout import DecodeOptions
from univs.mask_decoder.separation import SelfAttention
from univs.model import UniVS
from univs.object_decoding import ObjectPrediction
from univs.prompt_encoder.text import TextFeatures
from univs.prompt_encoder.tokens import VisualTokens
from univs.types import ClipFeatures, PromptQueries, PromptTokens


@dataclass(frozen=True, slots=True)
class ExpressionDecodeOptions:
    """How expressions are decoded; they never see each other.

    Attributes:
        average_with_learnable: each mask is averaged with that of the most similar learnable query, in every layer.
        blanks_attend: empty visual tokens of remembered frames attend as zeros.
        tile: expressions decoded in one pass, padded up to it; None decodes all at once.
    """

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
        tokens: visual tokens [1, O, P, R] of their earlier masks, or None; they join the words.
        options: how.
    """
    nothing = torch.zeros(1, len(expressions.sentences), dtype=torch.bool, device=features.mask_features.device)
    queries = model.text_queries.expressions(features, expressions.sentences[None], expressions.words[None], nothing)
    if tokens is not None:
        queries = replace(queries, tokens=_with_visual(queries, tokens, blanks_attend=options.blanks_attend))
    prediction = model.decode(
        features,
        queries,
        use_learnable=options.average_with_learnable,
        self_attention=SelfAttention.BLOCKED,
        options=DecodeOptions(average_with_learnable=options.average_with_learnable),
        tile_size=options.tile,
    )
    masks = prediction.mask_logits[:, prediction.num_learnable :]
    embeddings = prediction.embeddings[:, prediction.num_learnable :]
    presence = model.presence(embeddings, masks) if model.presence is not None else None
    return ObjectPrediction(masks, embeddings, presence)


def _with_visual(queries: PromptQueries, tokens: VisualTokens, *, blanks_attend: bool) -> PromptTokens:
    """Put visual tokens before the words; they have no place there, as words have none."""
    words = queries.tokens
    num_frames = words.features.shape[2]
    seen = tokens.features.flatten(2, 3)[:, :, None].expand(-1, -1, num_frames, -1, -1)
    is_blank = tokens.is_padding
    if blanks_attend:
        is_blank = (tokens.frame_indices < 0)[..., None].expand_as(is_blank)
    is_blank = is_blank.flatten(2, 3)[:, :, None].expand(-1, -1, num_frames, -1)
    return PromptTokens(torch.cat([seen, words.features], dim=3), None, torch.cat([is_blank, words.is_padding], dim=3))
