"""Separated self-attention: which query may see which.

Source: UniVS, "separated self-attention"; names in quotes are those of the published configs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from univs.layers.attention import AttentionLayer


class SelfAttention(StrEnum):
    """Who sees whom among learnable queries and prompt queries; a query sees all frames of its clip."""

    SEPARATE = "sep"  # learnable see learnable, prompts see prompts
    BLOCKED = "sep-blocked"  # learnable see learnable, a prompt sees only itself: objects never mix
    PROMPTS_SEE_LEARNABLE = "sep-l2p"  # learnable see learnable, prompts see all
    NONE = "none"  # nothing is separated


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


def attend_self(layer: AttentionLayer, groups: Sequence[QueryGroup], mode: SelfAttention) -> tuple[QueryGroup, ...]:
    """Let queries see each other, as far as `mode` allows."""
    return tuple(group.moved(_attend(layer, group, groups, mode)) for group in groups)


def _attend(layer: AttentionLayer, group: QueryGroup, groups: Sequence[QueryGroup], mode: SelfAttention) -> Tensor:
    if group.is_prompt and mode is SelfAttention.BLOCKED:  # its own frames are the sequence, queries the batch
        x, located = group.x.flatten(0, 1), group.located.flatten(0, 1)  # [B*Q, T, C]
        alone: Tensor = layer(x, located, layer.project(located, x))
        return alone.view_as(group.x)
    sees_all = mode is SelfAttention.NONE or (group.is_prompt and mode is SelfAttention.PROMPTS_SEE_LEARNABLE)
    seen = list(groups) if sees_all else [group]
    keys = torch.cat([other.located.flatten(1, 2) for other in seen], dim=1)  # [B, L, C]
    values = torch.cat([other.x.flatten(1, 2) for other in seen], dim=1)
    memory = layer.project(keys, values)
    attended: Tensor = layer(group.x.flatten(1, 2), group.located.flatten(1, 2), memory, _is_open(group, seen))
    return attended.view_as(group.x)


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
