"""What a window of a stage's clip loses, over all layers: learnable queries by matching, prompts by direct assignment.

Every part is a sum over the videos of a batch, weighted by their targets, over the number of targets of all processes:
batches cut among processes and whole ones give the same gradient.

Source: UniVS, section on training and supplement; SPEC 11.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from univs.data.sample import UNKNOWN_CATEGORY
from univs.data.text_table import ClassTable
from univs.losses.classes import class_loss
from univs.losses.contrastive import NOBODY, Embedded, PairingLoss, pairing_loss, pairings_loss
from univs.losses.masks import mask_loss
from univs.losses.matcher import Match, match
from univs.losses.report import LossParts
from univs.losses.semantic import semantic_loss
from univs.losses.settings import LossSettings
from univs.training.stages.targets import ObjectTargets, PromptTargets
from univs.types import Prediction, PromptKind


@dataclass(frozen=True, slots=True)
class Shares:
    """What sums over a batch are divided by: means over the processes of a run, at least 1."""

    objects: Tensor  # scalar, objects that learnable queries should find
    prompts: Tensor  # scalar, prompts whose masks count
    videos: int  # of a process


@dataclass(frozen=True, slots=True)
class WindowLoss:
    """What one window lost, and its embeddings, for comparison with those of other windows."""

    parts: LossParts
    embedded: tuple[tuple[Embedded, ...], ...]  # [layer][video], rows of objects and prompts


@dataclass(frozen=True, slots=True)
class _VideoPart:
    """What the queries of one sort lost in one video and layer."""

    cross_entropy: Tensor
    dice: Tensor
    category: Tensor
    embedded: Embedded  # rows of objects first, then those of nobody


def window_loss(
    prediction: Prediction,
    objects: ObjectTargets | None,
    prompts: PromptTargets | None,
    table: ClassTable | None,
    shares: Shares,
    settings: LossSettings,
    generators: Sequence[torch.Generator],
) -> WindowLoss:
    """Compare a window's prediction with the truth.

    Args:
        prediction: of T frames, learnable queries first, with its auxiliary layers.
        objects: of the T frames, for the learnable queries; None where these were not decoded.
        prompts: of the T frames, in the order of the prompt queries; None where there were none.
        table: names of the data set; None where it has none.
        shares: what sums are divided by.
        settings: of the losses.
        generators: one for each video, on the CPU or the device of the logits.
    """
    layers = [*prediction.auxiliary, prediction]
    found = [_layer_loss(layer, objects, prompts, table, shares, settings, generators) for layer in layers]
    return WindowLoss(LossParts.sum([parts for parts, _ in found]), tuple(embedded for _, embedded in found))


def between_windows(windows: Sequence[WindowLoss], weights: Sequence[Tensor], settings: LossSettings) -> LossParts:
    """Compare the embeddings of all windows of each video with each other, in every layer but the first.

    Args:
        windows: at least two, of one clip.
        weights: of each video, scalars.
        settings: of the losses, with `between_clips`.
    """
    assert settings.between_clips is not None, "asked for only where clips are compared"
    zeros = LossParts.zeros(windows[0].parts.dice)
    found = [zeros]
    for layer in range(1, len(windows[0].embedded)):
        for video, weight in enumerate(weights):
            rows = Embedded.join([window.embedded[layer][video] for window in windows])
            loss = pairing_loss(rows, rows, settings.between_clips, is_same_set=True)
            found.append(_as_identity(loss, zeros).scaled(weight))
    return LossParts.sum(found)


def _layer_loss(
    layer: Prediction,
    objects: ObjectTargets | None,
    prompts: PromptTargets | None,
    table: ClassTable | None,
    shares: Shares,
    settings: LossSettings,
    generators: Sequence[torch.Generator],
) -> tuple[LossParts, tuple[Embedded, ...]]:
    parts, embedded = [], []
    half = 0.5 if objects is not None and prompts is not None else 1.0
    for video, generator in enumerate(generators):
        num_classes = 0 if table is None else table.num_classes[video]
        classes = None if layer.class_logits is None or not num_classes else layer.class_logits[video, :, :num_classes]
        zeros = LossParts.zeros(layer.mask_logits)
        learnable = asked = None
        if prompts is not None:
            weight = prompts.is_drawn[video].sum() / shares.prompts
            asked = _prompt_part(layer, prompts, classes, video, settings, generator)
            parts.append(_as_parts(asked, zeros).scaled(half * weight))
            if prompts.kind is PromptKind.CATEGORY:
                semantic = _semantic_part(layer, prompts, video, settings, generator, zeros)
                parts.append(semantic.scaled(half / shares.videos))
        if objects is not None:
            weight = objects.is_object[video].sum() / shares.objects
            learnable = _learnable_part(layer, objects, classes, video, settings, generator)
            parts.append(_as_parts(learnable, zeros).scaled(half * weight))
        told = _pairings(learnable, asked, prompts, settings)
        if told is not None:
            parts.append(_as_identity(told, zeros).scaled(weight))
        embedded.append(Embedded.join([part.embedded.of_objects for part in (learnable, asked) if part is not None]))
    return LossParts.sum(parts), tuple(embedded)


def _learnable_part(
    layer: Prediction,
    objects: ObjectTargets,
    classes: Tensor | None,
    video: int,
    settings: LossSettings,
    generator: torch.Generator,
) -> _VideoPart:
    """Match the learnable queries of one video with its objects, then compare."""
    count = layer.num_learnable
    logits, embeddings = layer.mask_logits[video, :count], layer.embeddings[video, :count]
    is_object = objects.is_object[video]
    truth, rows = objects.masks[video][is_object], objects.class_rows[video][is_object]
    own_classes = None if classes is None else classes[:count]
    found = match(logits, own_classes, truth, rows, costs=settings.costs, generator=generator)
    wanted = torch.full((count,), UNKNOWN_CATEGORY, dtype=torch.int64, device=rows.device)
    wanted[found.query_rows] = rows[found.object_rows]
    is_counted = torch.full((count,), objects.is_exhaustive[video], device=rows.device)
    is_counted[found.query_rows] = wanted[found.query_rows] != UNKNOWN_CATEGORY
    drawn = _drawn(logits[found.query_rows], truth[found.object_rows], settings, generator)
    category = _named(own_classes, wanted, is_counted, settings, drawn[0])
    identities = objects.identities[video][is_object]
    return _VideoPart(*drawn, category, _matched_first(embeddings, found, identities))


def _prompt_part(
    layer: Prediction,
    prompts: PromptTargets,
    classes: Tensor | None,
    video: int,
    settings: LossSettings,
    generator: torch.Generator,
) -> _VideoPart:
    """Compare the prompts of one video with what they ask for; names of what is absent should name nothing."""
    logits, embeddings = (part[video, layer.num_learnable :] for part in (layer.mask_logits, layer.embeddings))
    is_drawn, is_prompt = prompts.is_drawn[video], prompts.is_prompt[video]
    drawn = _drawn(logits[is_drawn], prompts.masks[video][is_drawn], settings, generator)
    own_classes = None if classes is None else classes[layer.num_learnable :]
    wanted = torch.where(is_drawn, prompts.class_rows[video], UNKNOWN_CATEGORY)
    is_counted = is_prompt & ((wanted != UNKNOWN_CATEGORY) | ~is_drawn)
    category = _named(own_classes, wanted, is_counted, settings, drawn[0])
    identities = prompts.identities[video]
    is_told = identities != NOBODY
    return _VideoPart(*drawn, category, _over_frames(embeddings[is_told], identities[is_told]))


def _semantic_part(
    layer: Prediction,
    prompts: PromptTargets,
    video: int,
    settings: LossSettings,
    generator: torch.Generator,
    zeros: LossParts,
) -> LossParts:
    """Compare the names of one video with each other; what that costs is added to the cross-entropy."""
    is_drawn = prompts.is_drawn[video]
    logits = layer.mask_logits[video, layer.num_learnable :][is_drawn]
    loss = semantic_loss(logits, prompts.masks[video][is_drawn], settings.points, generator)
    return LossParts(loss, zeros.dice, zeros.category, zeros.contrastive, zeros.auxiliary, zeros.presence)


def _drawn(logits: Tensor, masks: Tensor, settings: LossSettings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Compare masks in all frames: cross-entropy and dice, means over [N, T]."""
    is_counted = torch.ones(1, *logits.shape[:2], dtype=torch.bool, device=logits.device)
    loss = mask_loss(logits[None], masks[None], is_counted, settings.points, generator)
    return loss.cross_entropy, loss.dice


def _named(classes: Tensor | None, wanted: Tensor, is_counted: Tensor, settings: LossSettings, like: Tensor) -> Tensor:
    """Compare classes; zero for data without names."""
    if classes is None:
        return torch.zeros_like(like)
    return class_loss(classes, wanted, is_counted, classes.shape[1], with_softmax=settings.with_softmax)


def _pairings(
    learnable: _VideoPart | None, asked: _VideoPart | None, prompts: PromptTargets | None, settings: LossSettings
) -> PairingLoss | None:
    return pairings_loss(
        None if learnable is None else learnable.embedded,
        None if asked is None else asked.embedded,
        settings.contrastive,
        is_category=prompts is not None and prompts.kind is PromptKind.CATEGORY,
    )


def _as_parts(part: _VideoPart, zeros: LossParts) -> LossParts:
    return LossParts(part.cross_entropy, part.dice, part.category, zeros.contrastive, zeros.auxiliary, zeros.presence)


def _as_identity(loss: PairingLoss, zeros: LossParts) -> LossParts:
    return LossParts(zeros.cross_entropy, zeros.dice, zeros.category, loss.contrastive, loss.auxiliary, zeros.presence)


def _matched_first(embeddings: Tensor, found: Match, identities: Tensor) -> Embedded:
    """Line up the embeddings of matched queries, then those of the others as background: rows over all frames.

    A query matched to an object without an identity is neither.
    """
    matched = identities[found.object_rows]
    is_told = matched != NOBODY
    is_free = torch.ones(len(embeddings), dtype=torch.bool, device=embeddings.device)
    is_free[found.query_rows] = False
    own = _over_frames(embeddings[found.query_rows[is_told]], matched[is_told])
    background = embeddings[is_free]
    nobody = torch.full((len(background),), NOBODY, dtype=torch.int64, device=embeddings.device)
    return Embedded.join([own, _over_frames(background, nobody)])


def _over_frames(embeddings: Tensor, identities: Tensor) -> Embedded:
    """Make each frame of each query, [N, T, C], a row."""
    return Embedded(embeddings.flatten(0, 1), identities.repeat_interleave(embeddings.shape[1]))
