"""Prompts of a stage's clips as queries of the decoder.

In a clip that is decoded whole, each object is prompted in the frame that its simulated prompt names. In a clip that is
cut into windows, the first window is prompted by masks of a key frame; the later ones by the masks of the frame that
they share with the window before, and by what was remembered of the first: true masks, never the network's own.

Source: UniVS, section on training; SPEC 5.1 and 11.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from univs.data.sample import Batch
from univs.model import UniVS
from univs.prompt_encoder.regions import Canvas
from univs.prompt_encoder.tokens import VisualTokens, join_tokens, stack_tokens
from univs.prompt_encoder.visual import SamplerOptions, sample_prompts
from univs.training.stages.config import StageConfig
from univs.types import ClipFeatures, MaskPrompt, PromptQueries, VisualPrompt

_NOWHERE = -1  # index of a frame of which nothing is remembered


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """One object in one frame of the clip."""

    position: int
    prompt: VisualPrompt


def given_key_frames(batch: Batch) -> list[list[KeyFrame | None]]:
    """Give the simulated prompt of each object and its place in the clip: [B][O]."""
    found: list[list[KeyFrame | None]] = []
    for video, prompts in enumerate(batch.prompts):
        indices = batch.frame_indices[video].tolist()
        found.append([KeyFrame(indices.index(prompt.frame_index), prompt) for prompt in prompts])
    return found


def first_key_frames(batch: Batch, window: range, rngs: Sequence[np.random.Generator]) -> list[list[KeyFrame | None]]:
    """Draw a key frame of a window for all objects of a video; for those that are not in it, one where they are."""
    found = []
    for video, rng in enumerate(rngs):
        key = int(rng.choice(window))
        found.append([_shown(batch, video, slot, window, (key,), rng) for slot in _slots(batch, video)])
    return found


def next_key_frames(
    batch: Batch, window: range, memory: VisualTokens, overlap: int, rngs: Sequence[np.random.Generator]
) -> list[list[KeyFrame | None]]:
    """Choose the key frames of a later window: the first of those shared with the window before that shows the object.

    An object that is not in them is left to what is remembered of it; one that was never seen gets a frame of its own.
    """
    is_known = ~memory.is_padding.flatten(2).all(dim=2)  # [B, O]
    found: list[list[KeyFrame | None]] = []
    shared = range(window.start, window.start + max(1, overlap))
    for video, rng in enumerate(rngs):
        found.append([])
        for slot in _slots(batch, video):
            choices = shared if bool(is_known[video, slot]) else window
            key = _shown(batch, video, slot, choices, shared, rng)
            found[-1].append(key)
    return found


def remember(
    model: UniVS,
    features: ClipFeatures,
    batch: Batch,
    window: range,
    config: StageConfig,
    rngs: Sequence[np.random.Generator],
) -> VisualTokens:
    """Remember the objects of a window by their true masks in its last frames, a random number of them.

    At least a third of the frames and one more are remembered (SPEC 11.2).
    """
    numbers = [int(rng.integers(len(window) // 3 + 1, len(window) + 1)) for rng in rngs]
    frames = []
    for age, position in reversed(list(enumerate(reversed(window), start=1))):
        keys: list[list[KeyFrame | None]] = [
            [_shown(batch, video, slot, (position,), (), rng) for slot in _slots(batch, video)]
            if age <= numbers[video]
            else []
            for video, rng in enumerate(rngs)
        ]
        frames.append(sample_keys(model, features, keys, batch, config, rngs))
    return join_tokens(frames, dim=2)


def sample_keys(
    model: UniVS,
    features: ClipFeatures,
    keys: Sequence[Sequence[KeyFrame | None]],
    batch: Batch,
    config: StageConfig,
    rngs: Sequence[np.random.Generator],
) -> VisualTokens:
    """Take the tokens of each object in its key frame, without gradients: [B, O, 1, R].

    Cells are drawn for each video by itself, so that they do not depend on the batch.
    """
    level = features.levels[-1].detach()
    height, width = batch.images.shape[-2:]
    canvas = Canvas((height, width), features.padded_size, (level.shape[-2], level.shape[-1]))
    sampler = SamplerOptions(model.config.memory.tokens_per_frame, 0, config.choice)
    nothing = MaskPrompt(0, _NOWHERE, torch.zeros(height, width, dtype=torch.bool))
    videos = []
    for video, (of_objects, rng) in enumerate(zip(keys, rngs, strict=True)):
        torch.manual_seed(int(rng.integers(2**62)))
        padded = [*of_objects, *[None] * (batch.is_padding.shape[1] - len(of_objects))]
        rows = []
        for key in padded:
            position, prompt = (0, nothing) if key is None else (key.position, key.prompt)
            found = sample_prompts(level[video, position], prompt.frame_index, (prompt,), canvas, sampler)
            rows.append(found.foreground)
        videos.append(stack_tokens(rows))
    return stack_tokens(videos)


def visual_queries(
    model: UniVS, features: ClipFeatures, keys: VisualTokens, memory: VisualTokens | None, config: StageConfig
) -> PromptQueries:
    """Give each object its query in the frames of `features`; slots without any token are padding.

    Args:
        model: the network.
        features: of the window.
        keys: [B, O, 1, R]; they stand for the window's first frame, so that they hold for all of it.
        memory: [B, O, P, R], what else is known of the objects.
        config: how tokens become queries.
    """
    first = features.frame_indices[:, :1, None].expand_as(keys.frame_indices)
    is_blank = keys.frame_indices < 0
    tokens = replace(keys, frame_indices=torch.where(is_blank, keys.frame_indices, first))
    if memory is not None:
        tokens = join_tokens([tokens, memory], dim=2)
    is_padding = tokens.is_padding.flatten(2).all(dim=2)
    queries: PromptQueries = model.visual_queries(tokens, features.frame_indices, is_padding, config.query)
    return queries


def placed_by_content(queries: PromptQueries, task: Tensor) -> PromptQueries:
    """Put the mean of a prompt's features in the place of its position (released, SPEC 5.1)."""
    return replace(queries, position=queries.content - task)


def _shown(
    batch: Batch, video: int, slot: int, choices: Sequence[int], first: Sequence[int], rng: np.random.Generator
) -> KeyFrame | None:
    """Take the first frame of `first`, or else any of `choices`, that shows an object; None where none does."""
    masks = batch.masks[video, slot]
    preferred = [position for position in first if bool(masks[position].any())]
    others = [position for position in choices if bool(masks[position].any())]
    if not preferred and not others:
        return None
    position = preferred[0] if preferred else others[int(rng.integers(len(others)))]
    index = int(batch.frame_indices[video, position])
    return KeyFrame(position, MaskPrompt(slot, index, masks[position]))


def _slots(batch: Batch, video: int) -> range:
    return range(int((~batch.is_padding[video]).sum()))
