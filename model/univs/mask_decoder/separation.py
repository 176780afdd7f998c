"""Separated self-attention: which query may see which.

Source: UniVS, "separated self-attention"; names in quotes are those of the published configs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from univs.config import SelfAttention
from univs.layers.attention import AttentionLayer, KeyValue
from univs.types import PromptQueries

__all__ = ["QueryGroup", "SelfAttention", "TokenKeys", "attend_self"]


@dataclass(frozen=True, slots=True)
class QueryGroup:
    """Queries of one sort on their way through the layers."""

    x: Tensor  # [B, Q, T, C]
    position: Tensor  # [B, Q, T, C]
    is_padding: Tensor  # bool [B, Q], slots that hold no query
    is_prompt: bool

    @property
    def located(self) -> Tensor:
        """Give the queries with their positions added: [B, Q, T, C]."""
        return self.x + self.position

    def moved(self, x: Tensor) -> "QueryGroup":
        """Give the group with new contents."""
        return replace(self, x=x)


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """Tokens of prompts that the self-attention sees beside the queries; they are looked at, and look at nothing.

    Who may see a prompt query may see its tokens. Source: SEEM (Zou et al., 2023), whose decoder has no other prompt
    attention; there tokens also move from layer to layer.
    """

    x: Tensor  # [B, Q, L, C], tokens of all frames
    located: Tensor  # [B, Q, L, C], positions added
    is_open: Tensor  # bool [B, Q, L]

    @classmethod
    def of(cls, prompts: PromptQueries) -> "TokenKeys":
        """Lay out the tokens of prompts."""
        tokens = prompts.tokens
        x = tokens.features.flatten(2, 3)
        located = x if tokens.positions is None else x + tokens.positions.flatten(2, 3)
        return cls(x, located, ~tokens.is_padding.flatten(2, 3) & ~prompts.is_padding[..., None])


def attend_self(
    layer: AttentionLayer, groups: Sequence[QueryGroup], mode: SelfAttention, tokens: TokenKeys | None = None
) -> tuple[QueryGroup, ...]:
    """Let queries see each other, and tokens where some are given, as far as `mode` allows."""
    return tuple(group.moved(_attend(layer, group, groups, mode, tokens)) for group in groups)


def _attend(
    layer: AttentionLayer,
    group: QueryGroup,
    groups: Sequence[QueryGroup],
    mode: SelfAttention,
    tokens: TokenKeys | None,
) -> Tensor:
    if group.is_prompt and mode is SelfAttention.BLOCKED:  # its own frames are the sequence, queries the batch
        x, located = group.x.flatten(0, 1), group.located.flatten(0, 1)  # [B*Q, T, C]
        alone: Tensor = layer(x, located, *_own_memory(layer, x, located, tokens))
        return alone.view_as(group.x)
    sees_all = mode is SelfAttention.NONE or (group.is_prompt and mode is SelfAttention.PROMPTS_SEE_LEARNABLE)
    seen = list(groups) if sees_all else [group]
    keys = torch.cat([other.located.flatten(1, 2) for other in seen], dim=1)  # [B, L, C]
    values = torch.cat([other.x.flatten(1, 2) for other in seen], dim=1)
    is_open = _is_open(group, seen)
    if tokens is not None and is_open is not None and (group.is_prompt or mode is SelfAttention.NONE):
        keys, values = (torch.cat([rows, more.flatten(1, 2)], dim=1) for rows, more in _pairs(keys, values, tokens))
        of_tokens = tokens.is_open.flatten(1)[:, None, None].expand(-1, -1, is_open.shape[2], -1)
        is_open = torch.cat([is_open, of_tokens], dim=3)
    attended: Tensor = layer(group.x.flatten(1, 2), group.located.flatten(1, 2), layer.project(keys, values), is_open)
    return attended.view_as(group.x)


def _own_memory(
    layer: AttentionLayer, x: Tensor, located: Tensor, tokens: TokenKeys | None
) -> tuple[KeyValue, Tensor | None]:
    """Give what a prompt sees of itself: its own frames, and its own tokens."""
    if tokens is None:
        return layer.project(located, x), None
    keys, values = (torch.cat([rows, more.flatten(0, 1)], dim=1) for rows, more in _pairs(located, x, tokens))
    of_frames = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    is_open = torch.cat([of_frames, tokens.is_open.flatten(0, 1)], dim=1)
    return layer.project(keys, values), is_open[:, None, None]


def _pairs(keys: Tensor, values: Tensor, tokens: TokenKeys) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return (keys, tokens.located), (values, tokens.x)


def _is_open(group: QueryGroup, seen: Sequence[QueryGroup]) -> Tensor | None:
    """Close padded slots to everyone but themselves: bool [B, 1, L_q, L]; None where no slot can be padded."""
    if not any(other.is_prompt for other in seen):
        return None
    num_rows = group.x.shape[1] * group.x.shape[2]
    columns = []
    for other in seen:
        is_real = ~other.is_padding.repeat_interleave(other.x.shape[2], dim=1)[:, None]  # [B, 1, L]
        if other is group:  # a row with nothing open would be NaN
            is_real = is_real | torch.eye(num_rows, dtype=torch.bool, device=is_real.device)
        columns.append(is_real.expand(-1, num_rows, -1))
    return torch.cat(columns, dim=2)[:, None]
