"""Post-norm multi-head attention to a memory that is projected apart from the queries.

Source: Masked-attention Mask Transformer (Cheng et al., 2022), whose layers UniVS keeps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class KeyValue:
    """Keys and values of a memory, projected and split into heads, so that many queries can share them."""

    keys: Tensor  # [N, heads, L, C / heads]
    values: Tensor  # [N, heads, L, C / heads]

    def expand(self, repeats: int) -> "KeyValue":
        """Share the memory of each row among `repeats` rows: [N * repeats, heads, L, C / heads]."""
        if repeats == 1:
            return self
        keys, values = (
            side[:, None].expand(-1, repeats, -1, -1, -1).flatten(0, 1) for side in (self.keys, self.values)
        )
        return KeyValue(keys, values)

    def append(self, other: "KeyValue") -> "KeyValue":
        """Put another memory of the same rows behind this one."""
        return KeyValue(torch.cat([self.keys, other.keys], dim=2), torch.cat([self.values, other.values], dim=2))


class AttentionLayer(nn.Module):
    """Multi-head attention, residual, layer norm; the memory is projected apart from the queries."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        bound = (6 / (4 * channels)) ** 0.5  # one Xavier-uniform matrix for the three projections together
        for projection in (self.query, self.key, self.value):
            nn.init.uniform_(projection.weight, -bound, bound)
            nn.init.zeros_(projection.bias)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def project(self, keys: Tensor, values: Tensor) -> KeyValue:
        """Project a memory: keys [N, L, C] (positions added), values [N, L, C]."""
        return KeyValue(self._heads(self.key(keys)), self._heads(self.value(values)))

    def forward(self, x: Tensor, queries: Tensor, memory: KeyValue, is_open: Tensor | None = None) -> Tensor:
        """Attend, add, normalise.

        Args:
            x: [N, Q, C], what the result is added to.
            queries: [N, Q, C], x with positions added.
            memory: of `project`, with the same N.
            is_open: bool, broadcast to [N, heads, Q, L]: what may be attended. Every row needs an open place.
        """
        mixed = functional.scaled_dot_product_attention(
            self._heads(self.query(queries)), memory.keys, memory.values, attn_mask=is_open
        )
        attended: Tensor = self.norm(x + self.output(mixed.transpose(1, 2).flatten(2)))
        return attended

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.num_heads, x.shape[-1] // self.num_heads).transpose(1, 2)
