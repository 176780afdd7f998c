"""Ask the network for all objects that are followed, visual prompts and expressions each in their own way."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from univs.expression_decoding import EarlierMasks, ExpressionDecodeOptions, decode_expressions
from univs.inference.options import InferenceOptions, Isolation
from univs.inference.tracks import Track
from univs.mask_decoder.separation import SelfAttention
from univs.memory_pool import MemoryPool
from univs.model import UniVS
from univs.object_decoding import FrameBefore, ObjectDecodeOptions, ObjectPrediction, decode_objects
from univs.prompt_encoder.queries import QueryOptions
from univs.prompt_encoder.text import TextFeatures
from univs.prompt_encoder.tokens import ObjectTokens, VisualTokens
from univs.types import ClipFeatures, ObjectState


def decode_tracks(
    model: UniVS,
    features: ClipFeatures,
    tracks: Sequence[Track],
    pool: MemoryPool,
    texts: Mapping[int, TextFeatures],
    options: InferenceOptions,
    keys_before: Tensor | None = None,
) -> ObjectPrediction:
    """Give masks, embeddings and presence of objects, in the order of `tracks`.

    Args:
        model: the network.
        features: the window.
        tracks: O objects, at least one.
        pool: what is remembered of them.
        texts: features of the expressions among them, by object id.
        options: how.
        keys_before: `UniVS.look_back_keys` of the frame before, where there was one.
    """
    newest = int(features.frame_indices[0, -1])
    is_named = [_is_asked_by_words(track, newest, options) for track in tracks]
    named = [row for row, asked in enumerate(is_named) if asked]
    shown = [row for row, asked in enumerate(is_named) if not asked]
    parts = []
    if shown:
        parts.append(_decode_shown(model, features, [tracks[row] for row in shown], pool, options, keys_before))
    if named:
        parts.append(_decode_named(model, features, [tracks[row] for row in named], pool, texts, options))
    if len(parts) == 1:
        return parts[0]
    return _reordered(parts, shown + named)


def _is_asked_by_words(track: Track, frame_index: int, options: InferenceOptions) -> bool:
    """Say whether an object is looked for by an expression, rather than by what is remembered of it."""
    if track.text is None:
        return False
    return not options.text_hands_over or track.state(frame_index, options.lost_after_frames) is ObjectState.LOST


def _decode_shown(
    model: UniVS,
    features: ClipFeatures,
    tracks: Sequence[Track],
    pool: MemoryPool,
    options: InferenceOptions,
    keys_before: Tensor | None,
) -> ObjectPrediction:
    is_strict = options.isolation is Isolation.STRICT
    newest = int(features.frame_indices[0, -1])
    recalled = pool.read([track.object_id for track in tracks], dtype=features.mask_features.dtype)
    priors = torch.stack([track.prior for track in tracks])
    return decode_objects(
        model,
        features,
        ObjectTokens(_batched(recalled.foreground), _batched(recalled.background)),
        priors[None].to(features.mask_features.dtype),
        options=ObjectDecodeOptions(
            self_attention=SelfAttention.BLOCKED if is_strict else SelfAttention.SEPARATE,
            query=QueryOptions(options.initial_query, options.blanks_attend),
            tile=options.object_tile if is_strict else None,
        ),
        before=None if keys_before is None else _frame_before(keys_before, tracks, newest),
    )


def _frame_before(keys: Tensor, tracks: Sequence[Track], frame_index: int) -> FrameBefore:
    """Say which objects were followed in the frame before; those prompted in this one have their prior from it."""
    is_carried = torch.tensor([[track.prompted_frame != frame_index for track in tracks]], device=keys.device)
    return FrameBefore(keys, is_carried)


def _decode_named(
    model: UniVS,
    features: ClipFeatures,
    tracks: Sequence[Track],
    pool: MemoryPool,
    texts: Mapping[int, TextFeatures],
    options: InferenceOptions,
) -> ObjectPrediction:
    dtype = features.mask_features.dtype
    expressions = TextFeatures.join([texts[track.object_id] for track in tracks], dtype)
    tokens = None
    if options.earlier_masks is not EarlierMasks.NOTHING:
        tokens = _batched(pool.read([track.object_id for track in tracks], dtype=dtype).foreground)
    return decode_expressions(
        model,
        features,
        expressions,
        tokens,
        ExpressionDecodeOptions(
            earlier_masks=options.earlier_masks,
            average_with_learnable=options.average_with_learnable,
            blanks_attend=options.blanks_attend,
            tile=options.object_tile if options.isolation is Isolation.STRICT else None,
        ),
    )


def _reordered(parts: Sequence[ObjectPrediction], rows: Sequence[int]) -> ObjectPrediction:
    """Put the rows of several predictions in the order of their objects."""
    order = torch.tensor(rows).argsort()
    presence = [part.presence_logits for part in parts if part.presence_logits is not None]

    def ordered(tensors: Sequence[Tensor]) -> Tensor:
        joined = torch.cat(list(tensors), dim=1)
        return joined[:, order.to(joined.device)]

    return ObjectPrediction(
        ordered([part.mask_logits for part in parts]),
        ordered([part.embeddings for part in parts]),
        ordered(presence) if presence else None,
    )


def _batched(tokens: VisualTokens) -> VisualTokens:
    """Add the axis of videos: [O, P, R] -> [1, O, P, R]."""
    return VisualTokens(
        tokens.features[None],
        tokens.cells[None],
        tokens.frame_indices[None],
        tokens.source_indices[None],
        tokens.grid_size,
    )
