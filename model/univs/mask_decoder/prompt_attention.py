"""Prompt cross-attention (ProCA): each prompt query looks at the tokens of its own prompt.

Source: UniVS, "target-wise prompt cross-attention"; the released code lets the query see itself as well.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from univs.layers.attention import AttentionLayer
from univs.mask_decoder.separation import QueryGroup
from univs.types import PromptTokens


@dataclass(frozen=True, slots=True)
class PromptMemory:
    """Tokens of prompts, laid out for attention: one row for each prompt, or for each prompt and frame."""

    keys: Tensor  # [N, L, C], positions added
    values: Tensor  # [N, L, C]
    is_open: Tensor  # bool [N, 1, 1, L]
    has_positions: bool
    is_shared: bool  # True when all frames of a clip have the same tokens and N = B * Q


def prompt_memory(tokens: PromptTokens) -> PromptMemory:
    """Lay out tokens; a time axis of 1 means that all frames of the clip share them."""
    is_shared = tokens.features.shape[2] == 1
    values = tokens.features.flatten(0, 2)
    keys = values if tokens.positions is None else values + tokens.positions.flatten(0, 2)
    is_open = ~tokens.is_padding.flatten(0, 2)[:, None, None]
    return PromptMemory(keys, values, is_open, tokens.positions is not None, is_shared)


def attend_prompt(layer: AttentionLayer, group: QueryGroup, memory: PromptMemory) -> Tensor:
    """Let each prompt query, in each frame, see itself and its tokens: [B, Q, T, C].

    Tokens without a place (text) are met without positions on either side.
    """
    num_frames = group.x.shape[2]
    repeats = num_frames if memory.is_shared else 1
    x = group.x.flatten(0, 2)[:, None]  # [B*Q*T, 1, C]
    located = group.located.flatten(0, 2)[:, None] if memory.has_positions else x
    own = layer.project(located, x)
    tokens = layer.project(memory.keys, memory.values).expand(repeats)
    is_open = memory.is_open.repeat_interleave(repeats, dim=0)
    is_open = torch.cat([torch.ones_like(is_open[..., :1]), is_open], dim=-1)
    attended: Tensor = layer(x, located, own.append(tokens), is_open)
    return attended.view_as(group.x)
