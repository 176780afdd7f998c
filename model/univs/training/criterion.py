"""What a rollout loses: prompted objects by direct assignment, learnable queries by matching."""

from collections.abc import Sequence

import torch
from torch import Tensor

from univs.data.sample import UNKNOWN_CATEGORY, Batch
from univs.data.text_table import ClassTable
from univs.losses.classes import class_loss, presence_loss
from univs.losses.identity import identity_loss
from univs.losses.masks import mask_loss
from univs.losses.matcher import Match, MatchCosts, match
from univs.losses.points import PointSampling
from univs.losses.report import LossParts
from univs.object_decoding import ObjectPrediction
from univs.training.rollout import Rollout
from univs.types import Prediction


def prompted_loss(rollout: Rollout, batch: Batch, sampling: PointSampling) -> LossParts:
    """Compare what was drawn for prompted objects with the truth, over all frames and layers."""
    is_object = ~batch.is_padding
    answers = [(0, prediction) for prediction in rollout.first]
    answers += [(position, prediction) for position, prediction in enumerate(rollout.later, start=1)]
    parts = [_answer_loss(prediction, batch, position, is_object, sampling) for position, prediction in answers]
    mean = LossParts.mean(parts)
    identity = _identity_of([rollout.first[-1], *rollout.later], batch)
    presence = mean.presence
    if rollout.absent is not None:
        nothing = torch.zeros_like(rollout.absent.is_counted)
        presence = presence + presence_loss(rollout.absent.presence_logits, nothing, rollout.absent.is_counted)
    return LossParts(
        cross_entropy=mean.cross_entropy,
        dice=mean.dice,
        category=mean.category,
        contrastive=identity[0],
        auxiliary=identity[1],
        presence=presence,
    )


def learnable_loss(
    prediction: Prediction, batch: Batch, table: ClassTable | None, sampling: PointSampling, costs: MatchCosts
) -> LossParts:
    """Compare what the learnable queries found in the first T frames of a clip with the truth, over all layers."""
    layers = [*prediction.auxiliary, prediction]
    return LossParts.mean([_layer_loss(layer, batch, table, sampling, costs) for layer in layers])


def _answer_loss(
    prediction: ObjectPrediction, batch: Batch, position: int, is_object: Tensor, sampling: PointSampling
) -> LossParts:
    """Compare the answer in one frame, its earlier layers included."""
    masks = batch.masks[:, :, position : position + 1]
    is_counted = is_object[:, :, None]
    drawn = [*(layer.mask_logits for layer in prediction.auxiliary), prediction.mask_logits]
    losses = [mask_loss(logits, masks, is_counted, sampling) for logits in drawn]
    zeros = LossParts.zeros(prediction.mask_logits)
    presence = zeros.presence
    if prediction.presence_logits is not None:
        is_present = batch.is_present[:, :, position : position + 1]
        presence = presence_loss(prediction.presence_logits, is_present, is_counted)
    return LossParts(
        cross_entropy=torch.stack([loss.cross_entropy for loss in losses]).mean(),
        dice=torch.stack([loss.dice for loss in losses]).mean(),
        category=zeros.category,
        contrastive=zeros.contrastive,
        auxiliary=zeros.auxiliary,
        presence=presence,
    )


def _identity_of(answers: Sequence[ObjectPrediction], batch: Batch) -> tuple[Tensor, Tensor]:
    """Compare the embeddings of objects over the frames of their clip, where they show."""
    embeddings = torch.cat([answer.embeddings for answer in answers], dim=2)  # [B, O, T, C]
    is_counted = batch.is_present & ~batch.is_padding[..., None]
    num_slots = batch.is_padding.numel()
    identities = torch.arange(num_slots, device=embeddings.device).view(*batch.is_padding.shape, 1)
    identities = identities.expand(is_counted.shape)
    loss = identity_loss(embeddings[is_counted], identities[is_counted])
    return loss.contrastive, loss.auxiliary


def _layer_loss(
    prediction: Prediction, batch: Batch, table: ClassTable | None, sampling: PointSampling, costs: MatchCosts
) -> LossParts:
    """Match one layer's learnable queries in every video, then compare."""
    num_videos, num_queries = prediction.mask_logits.shape[:2]
    num_frames = prediction.mask_logits.shape[2]
    truth = batch.masks[:, :, :num_frames]
    targets = truth.new_zeros(num_videos, num_queries, *truth.shape[2:])
    is_counted = truth.new_zeros(num_videos, num_queries, num_frames)
    class_losses = []
    for video in range(num_videos):
        is_object = ~batch.is_padding[video]
        category_ids = batch.category_ids[video] if table is None else table.category_ids[video]
        class_logits = None
        if table is not None and prediction.class_logits is not None and table.num_classes[video]:
            class_logits = prediction.class_logits[video, :, : table.num_classes[video]]
        found = match(
            prediction.mask_logits[video],
            class_logits,
            truth[video][is_object],
            category_ids[is_object] if class_logits is not None else torch.full_like(category_ids, -1)[is_object],
            costs=costs,
        )
        targets[video, found.query_rows] = truth[video][is_object][found.object_rows]
        is_counted[video, found.query_rows] = True
        if class_logits is not None:
            ids = category_ids[is_object]
            class_losses.append(_class_loss(class_logits, ids, found, is_exhaustive=batch.is_exhaustive[video]))
    loss = mask_loss(prediction.mask_logits, targets, is_counted, sampling)
    zeros = LossParts.zeros(prediction.mask_logits)
    return LossParts(
        cross_entropy=loss.cross_entropy,
        dice=loss.dice,
        category=torch.stack(class_losses).mean() if class_losses else zeros.category,
        contrastive=zeros.contrastive,
        auxiliary=zeros.auxiliary,
        presence=zeros.presence,
    )


def _class_loss(class_logits: Tensor, category_ids: Tensor, found: Match, *, is_exhaustive: bool) -> Tensor:
    """Compare classes in one video. A query matched to an unknown class says nothing of classes; an unmatched one
    should name nothing, but only where everything is annotated."""
    num_queries, num_classes = class_logits.shape
    wanted = torch.full((num_queries,), UNKNOWN_CATEGORY, dtype=torch.int64, device=class_logits.device)
    wanted[found.query_rows] = category_ids[found.object_rows]
    is_matched = torch.zeros(num_queries, dtype=torch.bool, device=class_logits.device)
    is_matched[found.query_rows] = True
    is_counted = torch.where(is_matched, wanted >= 0, torch.full_like(is_matched, is_exhaustive))
    return class_loss(class_logits, wanted, is_counted, num_classes)
