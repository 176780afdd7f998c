"""One step of a stage: prompt the clips of a batch, decode them window by window, compare with the truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from univs.data.sample import Batch
from univs.data.text_table import ClassTable, TextTable
from univs.losses.report import LossParts
from univs.mask_decoder.readout import DecodeOptions
from univs.model import UniVS
from univs.prompt_encoder.tokens import VisualTokens
from univs.training.stages.config import StageConfig
from univs.training.stages.criterion import Shares, between_windows, window_loss
from univs.training.stages.prompts import (
    first_key_frames,
    given_key_frames,
    next_key_frames,
    placed_by_content,
    remember,
    sample_keys,
    visual_queries,
)
from univs.training.stages.targets import (
    ObjectTargets,
    PromptTargets,
    choose_kind,
    name_targets,
    object_targets,
    picture_targets,
)
from univs.training.texts import TextDrawer, TextPrompts
from univs.types import ClipFeatures, Prediction, PromptKind, PromptQueries

MeanOf = Callable[[Tensor], Tensor]  # a scalar's mean over the processes of a run


@dataclass(frozen=True, slots=True)
class StageDraws:
    """Random numbers of one step: what all clips of a process share, and what each clip has for itself."""

    shared: np.random.Generator
    videos: tuple[np.random.Generator, ...]  # depend on a clip's place among those of all processes alone

    @classmethod
    def of(cls, seed: int, step: int, stream: int, first_place: int, num_videos: int) -> "StageDraws":
        """Draw for the clips at places `first_place`, `first_place + 1` ... of a step."""
        places = range(first_place, first_place + num_videos)
        return cls(
            np.random.default_rng([seed, step, stream, first_place]),
            tuple(np.random.default_rng([seed, step, stream + 1, place]) for place in places),
        )


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What a step lost, and what it drew for its prompts."""

    parts: LossParts
    kind: PromptKind
    mask_logits: Tensor  # [B, Q, T, h, w] of the prompts in all windows, without gradients
    masks: Tensor  # bool [B, Q, T, H, W], what they ask for


def stage_step(
    model: UniVS,
    batch: Batch,
    config: StageConfig,
    draws: StageDraws,
    *,
    table: TextTable | None = None,
    texts: TextDrawer | None = None,
    mean_of: MeanOf = lambda count: count,
) -> StageOutcome:
    """Decode a batch and compare it with the truth.

    Args:
        model: the network, in training mode.
        batch: clips of one data set.
        config: how.
        draws: random numbers. The global generator of torch is set from them.
        table: vectors of names; None for data without any.
        texts: draws the expressions of objects; None where the network reads no text.
        mean_of: gives a count's mean over the processes of a run.
    """
    classes = None if table is None else table.class_table(batch)
    if classes is not None and not all(classes.num_classes):
        classes = None
    kind = choose_kind(batch, classes, config, draws.shared, has_text=texts is not None)
    told = None if texts is None or kind is not PromptKind.EXPRESSION else texts.draw(batch, draws.shared)
    if told is None and kind is PromptKind.EXPRESSION:
        kind = PromptKind.VISUAL
    run = _Run(model, batch, config, draws, kind, None if kind is PromptKind.EXPRESSION else classes, told, mean_of)
    return run.outcome()


class _Run:
    """One step in the making."""

    def __init__(
        self,
        model: UniVS,
        batch: Batch,
        config: StageConfig,
        draws: StageDraws,
        kind: PromptKind,
        table: ClassTable | None,
        told: TextPrompts | None,
        mean_of: MeanOf,
    ) -> None:
        self.model, self.batch, self.config, self.draws = model, batch, config, draws
        self.kind, self.table, self.told, self.mean_of = kind, table, told, mean_of
        self.features = model.encode_frames(batch.images, batch.frame_indices)
        self.objects = object_targets(batch, table, kind) if config.use_learnable else None
        self.names: PromptTargets | None = None
        if kind is PromptKind.CATEGORY:
            assert table is not None, "only data with names are prompted by them"
            self.names = name_targets(batch, table, config.clips.max_objects, draws.videos)
        self.memory: VisualTokens | None = None
        device = batch.images.device
        self.generators = [torch.Generator(device=device).manual_seed(int(rng.integers(2**62))) for rng in draws.videos]

    def outcome(self) -> StageOutcome:
        """Decode all windows, in order."""
        windows = self.config.windows
        losses, drawn, asked = [], [], []
        weights: Sequence[Tensor] = ()
        for window in windows:
            queries, prompts = self._prompts(window)
            prediction = self._decode(window, queries)
            objects = None if self.objects is None else self.objects.of_frames(window)
            shares = self._shares(objects, prompts)
            loss = window_loss(prediction, objects, prompts, self.table, shares, self.config.losses, self.generators)
            losses.append(loss)
            drawn.append(prediction.mask_logits[:, prediction.num_learnable :].detach())
            asked.append(prompts.masks)
            weights = [each.sum() / shares.prompts for each in prompts.is_drawn]
        parts = LossParts.sum([loss.parts for loss in losses]).scaled(1 / len(losses))
        if self.config.losses.between_clips is not None and len(losses) > 1:
            parts = LossParts.sum([parts, between_windows(losses, weights, self.config.losses)])
        return StageOutcome(parts, self.kind, torch.cat(drawn, dim=2), torch.cat(asked, dim=2))

    def _decode(self, window: range, queries: PromptQueries) -> Prediction:
        """Decode one window, learnable queries beside prompts."""
        torch.manual_seed(int(self.draws.shared.integers(2**62)))
        return self.model.decode(
            frames_of(self.features, window),
            queries,
            use_learnable=self.config.use_learnable,
            self_attention=self.config.self_attention,
            class_table=None if self.table is None else self.table.vectors,
            options=DecodeOptions(with_auxiliary=True, permute_frames=self.config.permute_frames),
        )

    def _prompts(self, window: range) -> tuple[PromptQueries, PromptTargets]:
        """Give the prompts of a window as queries, and what they ask for in its frames."""
        here = frames_of(self.features, window)
        match self.kind:
            case PromptKind.CATEGORY:
                assert self.names is not None and self.table is not None, "set with the kind"
                rows = self.names.class_rows.clamp(min=0)[..., None].expand(-1, -1, self.table.vectors.shape[-1])
                vectors = self.table.vectors.to(rows.device).gather(1, rows)
                queries = self.model.text_queries.categories(here, vectors, ~self.names.is_prompt)
                return queries, self.names.of_frames(window)
            case PromptKind.EXPRESSION:
                told = self.told
                assert told is not None, "set with the kind"
                queries = self.model.text_queries.expressions(
                    here, told.sentences, told.words, ~told.is_used, told.word_padding
                )
                return queries, picture_targets(self.batch, None, told.is_used, self.kind).of_frames(window)
            case PromptKind.VISUAL:
                queries = self._visual(window, here)
                targets = picture_targets(self.batch, self.table, ~queries.is_padding, self.kind)
                return queries, targets.of_frames(window)

    def _visual(self, window: range, here: ClipFeatures) -> PromptQueries:
        """Prompt a window by pictures of its objects, and remember them for the next."""
        model, batch, config, rngs = self.model, self.batch, self.config, self.draws.videos
        if len(config.windows) == 1:
            keys = given_key_frames(batch)
        elif self.memory is None:
            keys = first_key_frames(batch, window, rngs)
        else:
            keys = next_key_frames(batch, window, self.memory, config.overlap, rngs)
        tokens = sample_keys(model, self.features, keys, batch, config, rngs)
        queries = visual_queries(model, here, tokens, self.memory, config)
        if self.memory is None and len(config.windows) > 1:
            self.memory = remember(model, self.features, batch, window, config, rngs)
        if self.draws.shared.random() < config.content_as_position:
            return placed_by_content(queries, model.visual_queries.task)
        return queries

    def _shares(self, objects: ObjectTargets | None, prompts: PromptTargets) -> Shares:
        def share(flags: Tensor) -> Tensor:
            return self.mean_of(flags.sum().float()).clamp(min=1)

        number = share(prompts.is_drawn)
        return Shares(number if objects is None else share(objects.is_object), number, len(self.batch.images))


def frames_of(features: ClipFeatures, window: range) -> ClipFeatures:
    """Take consecutive frames of a clip."""
    here = slice(window.start, window.stop)
    return ClipFeatures(
        levels=tuple(level[:, here] for level in features.levels),
        mask_features=features.mask_features[:, here],
        frame_indices=features.frame_indices[:, here],
        padded_size=features.padded_size,
    )
