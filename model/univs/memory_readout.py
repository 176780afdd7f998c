"""Dense readout of the memory pool: an object's own pixel embedding.

Beyond the paper, whose authors name long-term propagation as the next step. Each pixel of the 1/8 map is compared with
the tokens of one object and of its background that the pool remembers; the similarities, a value read from the same
tokens and the previous mask are turned into a residual on F4. The prompt query of that object then meets its own pixel
embedding instead of the shared one (`PromptQueries.mask_features`). Prompts stay queries; published checkpoints run
without this module.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from univs.config import UniVSConfig
from univs.prompt_encoder.tokens import ObjectTokens, VisualTokens

_VALUE_DIM = 16
_NUM_MAPS = 6
_EMPTY = -1e4  # additive mask; finite, so that an object without tokens gives zeros and not NaN


@dataclass(frozen=True, slots=True)
class _FlatTokens:
    """All tokens of an object in one axis L, whatever frame and side they come from."""

    features: Tensor  # [B, Q, L, C]
    centres_xy: Tensor  # [B, Q, L, 2], fractions of the padded picture
    is_foreground: Tensor  # bool [B, Q, L]
    is_recent: Tensor  # bool [B, Q, L]; False for the frame of first appearance
    is_usable: Tensor  # bool [B, Q, L]; False for padding

    @classmethod
    def of(cls, tokens: ObjectTokens) -> "_FlatTokens":
        """Flatten what the pool recalls; slot 0 is the first appearance, a negative click is background."""
        foreground, background = tokens.foreground, tokens.background
        sides = (foreground, background)
        on_object = (~foreground.is_negative, torch.zeros_like(background.is_padding))
        return cls(
            features=torch.cat([side.features.flatten(2, 3) for side in sides], dim=2),
            centres_xy=torch.cat([side.centres_xy.flatten(2, 3) for side in sides], dim=2),
            is_foreground=torch.cat([is_on.flatten(2) for is_on in on_object], dim=2),
            is_recent=torch.cat([_recent(side).flatten(2) for side in sides], dim=2),
            is_usable=torch.cat([~side.is_padding.flatten(2) for side in sides], dim=2),
        )


def _recent(tokens: VisualTokens) -> Tensor:
    """Mark every slot but the first: bool [B, Q, P, R]."""
    slots = torch.arange(tokens.cells.shape[2], device=tokens.cells.device)
    return (slots > 0)[None, None, :, None].expand(tokens.cells.shape)


class MemoryReadout(nn.Module):
    """Turn remembered tokens and the previous mask into an object's pixel embedding."""

    def __init__(self, config: UniVSConfig) -> None:
        super().__init__()
        channels, width = config.hidden_dim, config.memory.readout_dim
        self.has_mask_prior = config.memory.mask_prior
        self.key = nn.Linear(channels, width)
        self.value = nn.Linear(channels, _VALUE_DIM)
        self.role = nn.Embedding(4, _VALUE_DIM)  # background or foreground, first or recent
        self.log_temperature = nn.Parameter(torch.tensor(2.0))
        self.log_locality = nn.Parameter(torch.tensor(3.0))
        maps = _NUM_MAPS + _VALUE_DIM + (1 if self.has_mask_prior else 0)
        self.context = nn.Conv2d(channels, width, 1)
        self.merge = nn.Conv2d(width + maps, width, 3, padding=1)
        self.merge_norm = nn.GroupNorm(4, width)
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 5, padding=2, groups=width), nn.Conv2d(width, width, 1), nn.ReLU()
        )
        self.widen = nn.Conv2d(width, channels, 1)
        self.detail = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels), nn.Conv2d(channels, channels, 1)
        )

    def forward(
        self, level: Tensor, mask_features: Tensor, tokens: ObjectTokens, prior: Tensor
    ) -> Tensor:
        """Give each object its own pixel embedding for one frame.

        Args:
            level: [B, C, h, w], the 1/8 map of the frame.
            mask_features: [B, C, H/4, W/4], F4 of the frame.
            tokens: what is remembered of Q objects, [B, Q, P, R]; slot 0 is the first appearance.
            prior: [B, Q, h, w] in [0, 1], where each object was one frame ago, or what its prompt covers.
        Returns:
            [B, Q, C, H/4, W/4].
        """
        batch, _, height, width = level.shape
        num_objects = tokens.foreground.cells.shape[1]
        maps = self._maps(level, _FlatTokens.of(tokens)).flatten(0, 1)  # [B*Q, M, h, w]
        parts = [maps]
        if self.has_mask_prior:
            parts.append(prior.flatten(0, 1)[:, None])
        context = self.context(level)[:, None].expand(-1, num_objects, -1, -1, -1).flatten(0, 1)
        merged = functional.relu(self.merge_norm(self.merge(torch.cat([context, *parts], dim=1))))
        residual = self.widen(merged + self.mix(merged))  # [B*Q, C, h, w]
        residual = functional.interpolate(residual, size=mask_features.shape[-2:], mode="bilinear", align_corners=False)
        shared = mask_features[:, None].expand(-1, num_objects, -1, -1, -1).flatten(0, 1)
        own = functional.relu(shared + residual)
        own = shared + residual + self.detail(own)
        return own.unflatten(0, (batch, num_objects))

    def _maps(self, level: Tensor, memory: _FlatTokens) -> Tensor:
        """Compare pixels with tokens: [B, Q, maps, h, w]."""
        height, width = level.shape[-2:]
        pixels = level.flatten(2).transpose(1, 2)  # [B, N, C]
        pixel_keys = functional.normalize(self.key(pixels), dim=-1)
        token_keys = functional.normalize(self.key(memory.features), dim=-1)
        cosine = torch.einsum("bnc,bqlc->bqnl", pixel_keys, token_keys)
        temperature = self.log_temperature.exp()
        logits = cosine * temperature - self._distance(memory.centres_xy, memory.is_recent, height, width)
        usable = memory.is_usable
        foreground, recent = memory.is_foreground, memory.is_recent
        groups = (
            usable & foreground & ~recent,
            usable & foreground & recent,
            usable & ~foreground & ~recent,
            usable & ~foreground & recent,
        )
        best = [_masked_max(logits, group) / temperature for group in groups]  # 4 x [B, Q, N]
        probability = torch.softmax(logits.masked_fill(~usable[:, :, None, :], _EMPTY), dim=-1)
        probability = probability * usable.any(dim=-1)[:, :, None, None].to(probability.dtype)
        role = foreground.long() + 2 * recent.long()
        values = self.value(memory.features) + self.role(role)  # [B, Q, L, V]
        labelled = torch.cat([values, foreground[..., None].to(values.dtype)], dim=-1)
        read = torch.einsum("bqnl,bqlv->bqnv", probability, labelled)
        first_gap = best[0] - best[2]
        maps = torch.cat([torch.stack([*best, first_gap], dim=-1), read], dim=-1)  # [B, Q, N, maps]
        return maps.transpose(2, 3).unflatten(3, (height, width))

    def _distance(self, centres_xy: Tensor, is_recent: Tensor, height: int, width: int) -> Tensor:
        """Give the penalty of distance for recent tokens: [B, Q, N, L]; zero for those of the first appearance."""
        y = (torch.arange(height, device=centres_xy.device, dtype=centres_xy.dtype) + 0.5) / height
        x = (torch.arange(width, device=centres_xy.device, dtype=centres_xy.dtype) + 0.5) / width
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)  # [N, 2]
        scale = self.log_locality.exp() * is_recent.to(centres_xy.dtype)  # [B, Q, L]
        squared = (
            grid.square().sum(-1)[None, None, :, None]
            + centres_xy.square().sum(-1)[:, :, None, :]
            - 2 * torch.einsum("nd,bqld->bqnl", grid, centres_xy)
        )
        return squared * scale[:, :, None, :]


def _masked_max(logits: Tensor, group: Tensor) -> Tensor:
    """Take the largest logit over the tokens of a group, 0 where the group is empty: [B, Q, N]."""
    largest = logits.masked_fill(~group[:, :, None, :], _EMPTY).amax(dim=-1)
    return torch.where(group.any(dim=-1)[:, :, None], largest, torch.zeros_like(largest))
