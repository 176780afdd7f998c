"""What the prompts of a batch ask for: objects by pictures of them, objects by expressions, or names of categories."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from univs.data.sample import UNKNOWN_CATEGORY, Batch
from univs.data.text_table import ClassTable
from univs.losses.contrastive import NOBODY
from univs.training.stages.config import StageConfig
from univs.types import PromptKind


@dataclass(frozen=True, slots=True)
class PromptTargets:
    """Q prompts of each video, and what each should answer."""

    kind: PromptKind
    masks: Tensor  # bool [B, Q, T, H, W]
    is_prompt: Tensor  # bool [B, Q]; False in padding
    is_drawn: Tensor  # bool [B, Q]: prompts whose masks count; names of what is absent have none
    class_rows: Tensor  # int64 [B, Q] rows of the class table, UNKNOWN_CATEGORY where it has none
    identities: Tensor  # int64 [B, Q]; NOBODY where nothing is to be told apart

    def of_frames(self, frames: range) -> "PromptTargets":
        """Keep some frames of the clip."""
        return replace(self, masks=self.masks[:, :, frames.start : frames.stop])


@dataclass(frozen=True, slots=True)
class ObjectTargets:
    """O objects of each video, which the learnable queries should find."""

    masks: Tensor  # bool [B, O, T, H, W]
    is_object: Tensor  # bool [B, O]
    class_rows: Tensor  # int64 [B, O]
    identities: Tensor  # int64 [B, O]: which prompts mean the same
    is_exhaustive: tuple[bool, ...]  # [B]: what no object is matched with is background

    def of_frames(self, frames: range) -> "ObjectTargets":
        """Keep some frames of the clip, and the objects that show in them."""
        masks = self.masks[:, :, frames.start : frames.stop]
        return replace(self, masks=masks, is_object=self.is_object & masks.flatten(2).any(dim=2))


def choose_kind(
    batch: Batch, table: ClassTable | None, config: StageConfig, rng: np.random.Generator, *, has_text: bool
) -> PromptKind:
    """Choose how the clips of a batch are prompted, by what their data set gives.

    Expressions where objects have such; names, now and then, where everything that has one is annotated; pictures of
    the objects otherwise.
    """
    is_named = rng.random() < config.category_probability
    pairs = zip(batch.texts, batch.vocabularies, strict=True)
    if has_text and any(text and text not in names for texts, names in pairs for text in texts):
        return PromptKind.EXPRESSION
    if is_named and table is not None and all(table.num_classes) and all(batch.is_exhaustive):
        return PromptKind.CATEGORY
    return PromptKind.VISUAL


def object_targets(batch: Batch, table: ClassTable | None, kind: PromptKind) -> ObjectTargets:
    """Say what the learnable queries should find; beside names, objects of one category are one identity."""
    is_object = ~batch.is_padding
    rows = torch.full_like(batch.category_ids, UNKNOWN_CATEGORY) if table is None else table.category_ids
    slots = torch.arange(is_object.shape[1], device=is_object.device).expand(is_object.shape)
    identities = rows if kind is PromptKind.CATEGORY else slots
    return ObjectTargets(batch.masks, is_object, rows, identities, batch.is_exhaustive)


def picture_targets(batch: Batch, table: ClassTable | None, is_prompt: Tensor, kind: PromptKind) -> PromptTargets:
    """Say what prompts by pictures or expressions should answer: the object of each slot, [B, O]."""
    objects = object_targets(batch, table, kind)
    nobody = torch.full_like(objects.identities, NOBODY)
    return PromptTargets(
        kind=kind,
        masks=batch.masks,
        is_prompt=is_prompt,
        is_drawn=is_prompt,
        class_rows=objects.class_rows,
        identities=torch.where(is_prompt, objects.identities, nobody),
    )


def name_targets(batch: Batch, table: ClassTable, num_names: int, rngs: Sequence[np.random.Generator]) -> PromptTargets:
    """Ask each video for the categories that it shows, and for absent ones up to `num_names`.

    The masks of the objects of a category are merged.
    """
    present = [sorted({row for row in rows.tolist() if row != UNKNOWN_CATEGORY}) for rows in table.category_ids]
    asked = []
    for video, (shown, rng) in enumerate(zip(present, rngs, strict=True)):
        others = [row for row in range(table.num_classes[video]) if row not in shown]
        number = min(len(others), max(0, num_names - len(shown)))
        drawn = sorted(int(row) for row in rng.choice(others, size=number, replace=False)) if number else []
        asked.append([*shown, *drawn])
    num_slots = max(1, *(len(rows) for rows in asked))
    device = batch.masks.device
    class_rows = torch.full((len(asked), num_slots), UNKNOWN_CATEGORY, device=device)
    is_drawn = torch.zeros(len(asked), num_slots, dtype=torch.bool, device=device)
    masks = batch.masks.new_zeros(len(asked), num_slots, *batch.masks.shape[2:])
    for video, rows in enumerate(asked):
        class_rows[video, : len(rows)] = torch.tensor(rows, dtype=torch.int64, device=device)
        is_drawn[video, : len(present[video])] = True
        for slot, row in enumerate(present[video]):
            masks[video, slot] = batch.masks[video, table.category_ids[video] == row].any(dim=0)
    return PromptTargets(
        kind=PromptKind.CATEGORY,
        masks=masks,
        is_prompt=class_rows != UNKNOWN_CATEGORY,
        is_drawn=is_drawn,
        class_rows=class_rows,
        identities=torch.where(is_drawn, class_rows, torch.full_like(class_rows, NOBODY)),
    )
