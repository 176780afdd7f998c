"""What the network answers to texts in the first frame of a training clip, where visual prompts would stand."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from univs.expression_decoding import ExpressionDecodeOptions, decode_queries
from univs.model import UniVS
from univs.object_decoding import ObjectPrediction
from univs.training.texts import TextPrompts
from univs.types import ClipFeatures


@dataclass(frozen=True, slots=True)
class AbsentAnswer:
    """How present the network believes A absent things to be."""

    presence_logits: Tensor  # [B, A, 1]
    is_counted: Tensor  # bool [B, A, 1]; False where no absent thing was asked for


@dataclass(frozen=True, slots=True)
class ToldAnswer:
    """The answers to the texts of a batch."""

    objects: ObjectPrediction  # rows [B, O]; those that were not prompted by text mean nothing
    is_told: Tensor  # bool [B, O]
    absent: AbsentAnswer | None  # None when nothing was asked for, or the network has no presence head


def answer_texts(model: UniVS, here: ClipFeatures, texts: TextPrompts, *, with_auxiliary: bool) -> ToldAnswer:
    """Decode one frame of each clip, T = 1, from its texts alone."""
    queries = model.text_queries.expressions(here, texts.sentences, texts.words, ~texts.is_used, texts.word_padding)
    answer = decode_queries(model, here, queries, ExpressionDecodeOptions(), with_auxiliary=with_auxiliary)
    number = texts.num_objects
    logits = answer.presence_logits
    is_asked = texts.is_used[:, number:, None]
    absent = None
    if logits is not None and bool(is_asked.any()):
        absent = AbsentAnswer(logits[:, number:], is_asked)
    objects = ObjectPrediction(
        mask_logits=answer.mask_logits[:, :number],
        embeddings=answer.embeddings[:, :number],
        presence_logits=None if logits is None else logits[:, :number],
        auxiliary=tuple(
            replace(layer, mask_logits=layer.mask_logits[:, :number], embeddings=layer.embeddings[:, :number])
            for layer in answer.auxiliary
        ),
    )
    return ToldAnswer(objects, texts.is_told, absent)


def told_or_shown(told: ToldAnswer | None, shown: ObjectPrediction) -> ObjectPrediction:
    """Take the answer to its text for each object that has one, and the answer to its visual prompts for the others."""
    if told is None:
        return shown

    def chosen(text: Tensor, visual: Tensor) -> Tensor:
        is_told = told.is_told.view(*told.is_told.shape, *(1,) * (visual.dim() - 2))
        return torch.where(is_told, text, visual)

    objects = told.objects
    presence = shown.presence_logits
    if presence is not None:
        assert objects.presence_logits is not None, "both answers are one network's"
        presence = chosen(objects.presence_logits, presence)
    return ObjectPrediction(
        mask_logits=chosen(objects.mask_logits, shown.mask_logits),
        embeddings=chosen(objects.embeddings, shown.embeddings),
        presence_logits=presence,
        auxiliary=tuple(
            replace(
                visual,
                mask_logits=chosen(text.mask_logits, visual.mask_logits),
                embeddings=chosen(text.embeddings, visual.embeddings),
            )
            for text, visual in zip(objects.auxiliary, shown.auxiliary, strict=True)
        ),
    )
