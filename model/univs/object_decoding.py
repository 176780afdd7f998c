"""Decode prompted objects from what is remembered of them: one function for inference and for training.

Tokens become prompt queries, the dense readout (where the network has one) gives each object its own pixel embedding,
and the mask decoder answers. Nothing here knows of sessions or files.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from univs.look_back import Matches
from univs.mask_decoder.image_attention import ImageMemory
from univs.mask_decoder.readout import DecodeOptions
from univs.mask_decoder.separation import SelfAttention
from univs.model import UniVS
from univs.prompt_encoder.queries import QueryOptions
from univs.prompt_encoder.tokens import ObjectTokens, VisualTokens
from univs.types import ClipFeatures, Prediction


@dataclass(frozen=True, slots=True)
class ObjectPrediction:
    """What the network says of O prompted objects in the frames of a clip."""

    mask_logits: Tensor  # [B, O, T, H/4, W/4]
    embeddings: Tensor  # [B, O, T, C]
    presence_logits: Tensor | None  # [B, O, T]; None when the network has no presence head
    auxiliary: tuple[Prediction, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameBefore:
    """The frame before the one that is decoded, for networks that look back."""

    keys: Tensor  # [B, h, w, D], `UniVS.look_back_keys` of its features
    is_carried: Tensor | None = None  # bool [B, O], False where the prior is not of that frame; None is all True


@dataclass(frozen=True, slots=True)
class ObjectDecodeOptions:
    """How objects are decoded.

    Attributes:
        self_attention: who sees whom among the queries.
        query: how remembered tokens become queries.
        tile: objects decoded in one pass, padded up to it, so that the shapes of all products, and with them the last
            bit of every mask, do not depend on how many objects there are; None decodes all in one pass.
        with_auxiliary: also give the predictions of earlier layers.
    """

    self_attention: SelfAttention = SelfAttention.BLOCKED
    query: QueryOptions = QueryOptions()
    tile: int | None = None
    with_auxiliary: bool = False


def decode_objects(
    model: UniVS,
    features: ClipFeatures,
    tokens: ObjectTokens,
    priors: Tensor,
    is_padding: Tensor | None = None,
    options: ObjectDecodeOptions | None = None,
    before: FrameBefore | None = None,
) -> ObjectPrediction:
    """Give masks, embeddings and presence of objects.

    Args:
        model: the network.
        features: a clip of T frames.
        tokens: what is remembered of each object, [B, O, P, R] and [B, O, P, R']; slot 0 is the first appearance.
        priors: [B, O, h, w] in [0, 1], where each object was one frame ago, or what its prompt covers, on the 1/8 map.
        is_padding: bool [B, O], slots that hold no object.
        options: how.
        before: the frame before this one, if there was one and the network looks back; clips of one frame only.
    """
    options = options or ObjectDecodeOptions()
    matches = _match(model, features, before)
    is_carried = None if before is None else before.is_carried
    image = model.mask_decoder.project(features, is_embedding_shared=model.readout is None)
    num_objects = priors.shape[1]
    if options.tile is None:
        return _decode_tile(model, features, image, tokens, priors, is_padding, options, matches, is_carried)
    if options.self_attention is not SelfAttention.BLOCKED:
        raise ValueError(f"tiles need objects that never mix, got self-attention {options.self_attention.value!r}")
    if is_padding is None:
        is_padding = torch.zeros(priors.shape[:2], dtype=torch.bool, device=priors.device)
    parts = []
    for start in range(0, num_objects, options.tile):
        stop = min(start + options.tile, num_objects)
        missing = start + options.tile - stop
        part = _decode_tile(
            model,
            features,
            image,
            ObjectTokens(
                _slice(tokens.foreground, start, stop, missing), _slice(tokens.background, start, stop, missing)
            ),
            _pad(priors[:, start:stop], missing, 0.0),
            _pad(is_padding[:, start:stop], missing, True),
            options,
            matches,
            None if is_carried is None else _pad(is_carried[:, start:stop], missing, False),
        )
        parts.append((part, stop - start))
    presence = [part.presence_logits[:, :count] for part, count in parts if part.presence_logits is not None]
    return ObjectPrediction(
        mask_logits=torch.cat([part.mask_logits[:, :count] for part, count in parts], dim=1),
        embeddings=torch.cat([part.embeddings[:, :count] for part, count in parts], dim=1),
        presence_logits=torch.cat(presence, dim=1) if presence else None,
    )


def _match(model: UniVS, features: ClipFeatures, before: FrameBefore | None) -> Matches | None:
    """Match a frame with the one before, once for all of its objects."""
    if before is None or model.readout is None or model.readout.look_back is None:
        return None
    if features.mask_features.shape[1] != 1:
        raise ValueError(f"looking back takes clips of one frame, got {features.mask_features.shape[1]}")
    return model.readout.look_back.match(features.levels[-1][:, 0], before.keys)


def _decode_tile(
    model: UniVS,
    features: ClipFeatures,
    image: ImageMemory,
    tokens: ObjectTokens,
    priors: Tensor,
    is_padding: Tensor | None,
    options: ObjectDecodeOptions,
    matches: Matches | None,
    is_carried: Tensor | None,
) -> ObjectPrediction:
    queries = model.visual_queries(tokens.foreground, features.frame_indices, is_padding, options.query)
    if model.readout is not None:
        own = [
            model.readout(features.levels[-1][:, t], features.mask_features[:, t], tokens, priors, matches, is_carried)
            for t in range(features.mask_features.shape[1])
        ]
        joined = own[0][:, :, None] if len(own) == 1 else torch.stack(own, dim=2)  # one frame needs no copy
        queries = replace(queries, mask_features=joined)
    prediction = model.mask_decoder(
        image,
        queries,
        use_learnable=False,
        self_attention=options.self_attention,
        options=DecodeOptions(with_auxiliary=options.with_auxiliary),
    )
    presence = model.presence(prediction.embeddings, prediction.mask_logits) if model.presence is not None else None
    return ObjectPrediction(prediction.mask_logits, prediction.embeddings, presence, prediction.auxiliary)


def _slice(tokens: VisualTokens, start: int, stop: int, missing: int) -> VisualTokens:
    """Take objects start..stop-1 and append empty slots."""
    return VisualTokens(
        features=_pad(tokens.features[:, start:stop], missing, 0.0),
        cells=_pad(tokens.cells[:, start:stop], missing, -1),
        frame_indices=_pad(tokens.frame_indices[:, start:stop], missing, -1),
        source_indices=_pad(tokens.source_indices[:, start:stop], missing, -1),
        grid_size=tokens.grid_size,
    )


def _pad(values: Tensor, missing: int, fill: float) -> Tensor:
    """Append `missing` entries to axis 1."""
    if missing == 0:
        return values
    shape = (values.shape[0], missing, *values.shape[2:])
    return torch.cat([values, torch.full(shape, fill, dtype=values.dtype, device=values.device)], dim=1)
