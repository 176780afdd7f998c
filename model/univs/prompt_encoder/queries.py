"""The initial prompt query: tokens of an object, averaged, with the task's learned vector.

Source: UniVS, section on the initial prompt query; SPEC of the published code for what the paper leaves open.
"""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn

from univs.layers.position_encoding import encode_cells
from univs.prompt_encoder.tokens import VisualTokens
from univs.types import PromptKind, PromptQueries, PromptTokens


class InitialQuery(StrEnum):
    """Which tokens the initial query is the mean of."""

    POOL = "pool"  # the paper: all tokens remembered of the object
    LATEST = "latest"  # the released code: those of the newest frame at or before the query's own


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """How remembered tokens become a prompt query.

    Attributes:
        initial_query: which tokens are averaged.
        blanks_attend: empty tokens of remembered frames take part in the prompt cross-attention as zeros, as in the
            released code; ours leaves them out. Slots for which there was no frame yet never take part.
    """

    initial_query: InitialQuery = InitialQuery.POOL
    blanks_attend: bool = False


class VisualQueryEncoder(nn.Module):
    """Build prompt queries from visual tokens."""

    def __init__(self, channels: int, *, are_queries: bool = True) -> None:
        """Build it; without `are_queries` an initial query is the task's vector alone, whatever the prompt."""
        super().__init__()
        self.are_queries = are_queries
        self.task = nn.Parameter(torch.empty(channels))
        self.negative = nn.Parameter(torch.empty(channels))
        nn.init.normal_(self.task)
        nn.init.normal_(self.negative, std=0.02)

    def forward(
        self,
        tokens: VisualTokens,
        frame_indices: Tensor,
        is_padding: Tensor | None = None,
        options: QueryOptions | None = None,
    ) -> PromptQueries:
        """Give each object its initial query in every frame of a clip.

        Args:
            tokens: [B, Q, P, R], what is remembered of each object, the newest frame last.
            frame_indices: int64 [B, T], the frames of the clip.
            is_padding: bool [B, Q], slots that hold no object; None when all do.
            options: which tokens are averaged, and whether blanks attend.
        """
        options = options or QueryOptions()
        batch, num_objects = tokens.cells.shape[:2]
        exists = (~tokens.is_padding)[..., None]
        positions = exists * encode_cells(
            tokens.places, tokens.source_indices[..., None], tokens.grid_size, tokens.features
        )  # [B, Q, P, R, C]
        features = tokens.features + tokens.is_negative[..., None] * self.negative
        weights = self._weights(tokens, frame_indices, options)  # [B, Q, T, P, R]
        if not self.are_queries:
            weights = torch.zeros_like(weights)
        content = torch.einsum("bqtpr,bqprc->bqtc", weights, features) + self.task
        position = torch.einsum("bqtpr,bqprc->bqtc", weights, positions)
        blank = tokens.is_padding
        if options.blanks_attend:
            blank = (tokens.frame_indices < 0)[..., None].expand_as(blank)
        return PromptQueries(
            kind=PromptKind.VISUAL,
            content=content,
            position=position,
            tokens=PromptTokens(
                features=features.flatten(2, 3)[:, :, None],
                positions=positions.flatten(2, 3)[:, :, None],
                is_padding=blank.flatten(2, 3)[:, :, None],
            ),
            is_padding=(
                torch.zeros(batch, num_objects, dtype=torch.bool, device=content.device)
                if is_padding is None
                else is_padding
            ),
        )

    @staticmethod
    def _weights(tokens: VisualTokens, frame_indices: Tensor, options: QueryOptions) -> Tensor:
        """Weigh tokens for the mean: [B, Q, T, P, R], rows sum to 1, or to 0 where there is nothing to average.

        Negative tokens say where the object is not; they stay out of the mean.
        """
        counts = (tokens.cells >= 0)[:, :, None]  # [B, Q, 1, P, R]
        if options.initial_query is InitialQuery.LATEST:
            counts = counts & newest_slots(tokens, frame_indices)[..., None]
        else:
            counts = counts.expand(-1, -1, frame_indices.shape[1], -1, -1)
        weights = counts.to(tokens.features.dtype)
        return weights / weights.sum(dim=(-2, -1), keepdim=True).clamp(min=1)


def newest_slots(tokens: VisualTokens, frame_indices: Tensor) -> Tensor:
    """Tell which slot holds the newest frame at or before each frame of a clip.

    Args:
        tokens: [B, Q, P, R].
        frame_indices: int64 [B, T].
    Returns:
        bool [B, Q, T, P]: one of P, or none where nothing is remembered.
    """
    times = tokens.frame_indices[:, :, None]  # [B, Q, 1, P]
    is_past = (times >= 0) & (times <= frame_indices[:, None, :, None])
    newest = torch.where(is_past, times, -1).amax(dim=-1, keepdim=True)
    is_newest = is_past & (times == newest)
    # The first appearance may lie in the ring as well; one copy counts.
    return is_newest & (is_newest.long().cumsum(dim=-1) == 1)
