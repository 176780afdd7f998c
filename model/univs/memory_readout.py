"""Dense readout of the memory pool: an object's own pixel embedding.

Beyond the paper, whose authors name long-term propagation as the next step. Each pixel of the 1/8 map is compared with
the tokens of one object and of its background that the pool remembers; the similarities, a value read from the same
tokens and the previous mask become a residual on F4. The prompt query of that object then meets its own pixel embedding
instead of the shared one (`PromptQueries.mask_features`). Prompts stay queries; published checkpoints run without this.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from univs.config import UniVSConfig
from univs.prompt_encoder.tokens import ObjectTokens, VisualTokens

_VALUE_DIM = 16
_PLACE_DIM = 4  # columns of the keys that carry places and padding
_CLOSED = -1e4  # logit of a token that is not there; finite, so that an object without tokens gives zeros and not NaN


@dataclass(frozen=True, slots=True)
class _Side:
    """The tokens on an object, or those around it: slot 0 first, then the recent ones, in one axis L."""

    features: Tensor  # [B, Q, L, C]
    centres_xy: Tensor  # [B, Q, L, 2], fractions of the padded picture
    is_usable: Tensor  # bool [B, Q, L]
    num_first: int  # tokens of the first appearance

    @classmethod
    def of(cls, tokens: VisualTokens) -> "_Side":
        """Flatten one side of what the pool recalls. Negative clicks are not on the object: they stay out."""
        return cls(
            features=tokens.features.flatten(2, 3),
            centres_xy=tokens.centres_xy.flatten(2, 3),
            is_usable=~(tokens.is_padding | tokens.is_negative).flatten(2, 3),
            num_first=tokens.cells.shape[-1],
        )

    @property
    def is_recent(self) -> Tensor:
        """Mark all but the first appearance: bool [L]."""
        length = self.features.shape[2]
        return torch.arange(length, device=self.features.device) >= self.num_first


class MemoryReadout(nn.Module):
    """Turn remembered tokens and the previous mask into an object's pixel embedding."""

    def __init__(self, config: UniVSConfig) -> None:
        super().__init__()
        channels, width = config.hidden_dim, config.memory.readout_dim
        self.has_mask_prior = config.memory.mask_prior
        self.key = nn.Linear(channels, max(width - _PLACE_DIM, _PLACE_DIM))
        self.value = nn.Linear(channels, _VALUE_DIM)
        self.role = nn.Embedding(4, _VALUE_DIM)  # on the object or around it, first or recent
        self.log_temperature = nn.Parameter(torch.tensor(2.5))
        self.log_locality = nn.Parameter(torch.tensor(3.0))
        maps = 5 + _VALUE_DIM + 1 + (1 if self.has_mask_prior else 0)
        self.context = nn.Linear(channels, width)
        self.merge = nn.Conv2d(width + maps, width, 3, padding=1)
        self.merge_norm = nn.GroupNorm(4, width)
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 5, padding=2, groups=width), nn.Conv2d(width, width, 1), nn.ReLU()
        )
        self.widen = nn.Conv2d(width, channels, 1)
        self.detail = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels), nn.Conv2d(channels, channels, 1)
        )

    def forward(self, level: Tensor, mask_features: Tensor, tokens: ObjectTokens, prior: Tensor) -> Tensor:
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
        num_objects = prior.shape[1]
        pixels = level.flatten(2).transpose(1, 2)  # [B, N, C]
        maps = self._compare(pixels, (height, width), _Side.of(tokens.foreground), _Side.of(tokens.background))
        context = self.context(pixels)[:, None].expand(-1, num_objects, -1, -1)
        parts = [context, maps, prior.flatten(2)[..., None]] if self.has_mask_prior else [context, maps]
        joined = torch.cat(parts, dim=-1).flatten(0, 1)  # [B*Q, N, width + maps]
        joined = joined.transpose(1, 2).reshape(len(joined), -1, height, width)  # channels last in memory
        merged = functional.relu(self.merge_norm(self.merge(joined)))
        residual = self.widen(merged + self.mix(merged))  # [B*Q, C, h, w]
        residual = functional.interpolate(residual, size=mask_features.shape[-2:], mode="bilinear", align_corners=False)
        shared = mask_features[:, None].expand(-1, num_objects, -1, -1, -1).flatten(0, 1)
        own = shared + residual
        own = torch.add(own, self.detail(functional.relu(own)))
        return own.reshape(batch, num_objects, *own.shape[1:])

    def _compare(self, pixels: Tensor, grid: tuple[int, int], on: _Side, around: _Side) -> Tensor:
        """Compare pixels with tokens: [B, Q, N, maps].

        One product gives cosine times temperature, minus the penalty of distance for recent tokens, minus a wall for
        tokens that are not there. Maps are the best logit of the four groups, the lead of the object's first look over
        its surroundings, a value read from all tokens, and the share of the object in that reading.
        """
        temperature = self.log_temperature.exp()
        pixel_keys = functional.normalize(self.key(pixels), dim=-1) * temperature
        pixel_keys = torch.cat([pixel_keys, self._pixel_places(grid, pixels).expand(len(pixels), -1, -1)], dim=-1)
        token_keys = torch.cat([self._token_keys(side) for side in (on, around)], dim=2)
        logits = pixel_keys[:, None] @ token_keys.transpose(2, 3)  # [B, Q, N, L + L']
        offset = on.features.shape[2]
        bounds = (0, on.num_first, offset, offset + around.num_first, logits.shape[-1])
        best = []
        for start, stop in pairwise(bounds):
            if start == stop:
                best.append(torch.zeros_like(logits[..., 0]))
                continue
            largest = logits[..., start:stop].amax(dim=-1)
            best.append(torch.where(largest > _CLOSED / 2, largest, 0) / temperature)
        is_usable = torch.cat([on.is_usable, around.is_usable], dim=2)
        read = torch.softmax(logits, dim=-1) @ self._labelled_values(on, around)  # [B, Q, N, V + 1]
        read = read * is_usable.any(dim=-1)[:, :, None, None].to(read.dtype)
        return torch.cat([torch.stack([*best, best[0] - best[2]], dim=-1), read], dim=-1)

    def _pixel_places(self, grid: tuple[int, int], like: Tensor) -> Tensor:
        """Give the last columns of pixel keys: [N, 4]."""
        height, width = grid
        y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
        x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width
        places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)  # [N, 2]
        scale = self.log_locality.exp()
        squared = places.square().sum(-1, keepdim=True)
        return torch.cat([2 * scale * places, -scale * squared, torch.ones_like(squared)], dim=-1)

    def _token_keys(self, side: _Side) -> Tensor:
        """Give the keys of tokens with their places and the wall for what is not there: [B, Q, L, D]."""
        keys = functional.normalize(self.key(side.features), dim=-1)
        recent = side.is_recent.to(keys.dtype)[:, None]  # [L, 1]
        places = side.centres_xy * recent
        far = -self.log_locality.exp() * places.square().sum(-1, keepdim=True)
        wall = (~side.is_usable).to(keys.dtype)[..., None] * _CLOSED
        return torch.cat([keys, places, recent.expand_as(far), far + wall], dim=-1)

    def _labelled_values(self, on: _Side, around: _Side) -> Tensor:
        """Give what is read from each token: its value, then 1 on the object and 0 around it: [B, Q, L, V + 1]."""
        parts = []
        for label, side in ((1, on), (0, around)):
            values = self.value(side.features) + self.role(label + 2 * side.is_recent.long())
            parts.append(torch.cat([values, torch.full_like(values[..., :1], label)], dim=-1))
        return torch.cat(parts, dim=2)
