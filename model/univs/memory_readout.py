"""Dense readout of the memory pool: an object's own pixel embedding.

Beyond the paper, whose authors name long-term propagation as the next step. Each pixel of the 1/8 map is compared with
the tokens of one object and of its background that the pool remembers; the similarities, a value read from the same
tokens and the previous mask become a residual on F4. The prompt query of that object then meets its own pixel embedding
instead of the shared one (`PromptQueries.mask_features`). Prompts stay queries; published checkpoints run without this.
"""

from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from univs.config import UniVSConfig
from univs.layers.cells import cell_centres
from univs.look_back import LookBack, Matches
from univs.prompt_encoder.tokens import ObjectTokens

_VALUE_DIM = 16
_PLACE_DIM = 4  # columns of the keys that carry places and padding
_CLOSED = -1e4  # logit of a token that is not there; finite, so that an object without tokens gives zeros and not NaN


@dataclass(frozen=True, slots=True)
class _Remembered:
    """The tokens on an object, then those around it, each with slot 0 first, then the recent ones: one axis L."""

    features: Tensor  # [B, Q, L, C]
    centres_xy: Tensor  # [B, Q, L, 2], fractions of the padded picture
    is_usable: Tensor  # bool [B, Q, L]
    is_on: Tensor  # bool [L], on the object
    is_recent: Tensor  # bool [L], all but the first appearance
    bounds: tuple[int, ...]  # where in L the four groups begin, and the end

    @classmethod
    def of(cls, tokens: ObjectTokens) -> "_Remembered":
        """Flatten what the pool recalls. Negative clicks are not on the object: they stay out."""
        sides = (tokens.foreground, tokens.background)
        lengths = []
        for side in sides:
            num_frames, number = side.cells.shape[-2:]
            lengths += [number, (num_frames - 1) * number]
        device = tokens.foreground.cells.device
        groups = torch.repeat_interleave(torch.arange(4, device=device), torch.tensor(lengths, device=device))
        return cls(
            features=torch.cat([side.features.flatten(2, 3) for side in sides], dim=2),
            centres_xy=torch.cat([side.centres_xy.flatten(2, 3) for side in sides], dim=2),
            is_usable=torch.cat([~(side.is_padding | side.is_negative).flatten(2, 3) for side in sides], dim=2),
            is_on=groups < 2,
            is_recent=groups % 2 == 1,
            bounds=tuple(accumulate(lengths, initial=0)),
        )


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
        radius = config.memory.look_back_radius
        self.look_back = LookBack(channels, width, config.memory.look_back_dim, radius) if radius else None
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 5, padding=2, groups=width), nn.Conv2d(width, width, 1), nn.ReLU()
        )
        self.widen = nn.Conv2d(width, channels, 1)
        self.detail = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels), nn.Conv2d(channels, channels, 1)
        )

    def forward(
        self,
        level: Tensor,
        mask_features: Tensor,
        tokens: ObjectTokens,
        prior: Tensor,
        matches: Matches | None = None,
        is_carried: Tensor | None = None,
    ) -> Tensor:
        """Give each object its own pixel embedding for one frame.

        Args:
            level: [B, C, h, w], the 1/8 map of the frame.
            mask_features: [B, C, H/4, W/4], F4 of the frame.
            tokens: what is remembered of Q objects, [B, Q, P, R]; slot 0 is the first appearance.
            prior: [B, Q, h, w] in [0, 1], where each object was one frame ago, or what its prompt covers.
            matches: of the frame with the one before, where the network looks back and there was one.
            is_carried: bool [B, Q], False where `prior` is not of the frame before; None is all True.
        Returns:
            [B, Q, C, H/4, W/4].
        """
        batch, _, height, width = level.shape
        num_objects = prior.shape[1]
        pixels = level.flatten(2).transpose(1, 2)  # [B, N, C]
        maps = self._compare(pixels, (height, width), _Remembered.of(tokens))
        context = self.context(pixels)[:, None].expand(-1, num_objects, -1, -1)
        parts = [context, maps, prior.flatten(2)[..., None]] if self.has_mask_prior else [context, maps]
        joined = torch.cat(parts, dim=-1).view(batch * num_objects, height, width, -1).permute(0, 3, 1, 2)
        merged = self.merge(joined)
        if self.look_back is not None and matches is not None:
            merged = merged + self.look_back(matches, prior, is_carried)
        merged = functional.relu(self.merge_norm(merged), inplace=True)
        residual = self.widen(merged + self.mix(merged))  # [B*Q, C, h, w]
        residual = functional.interpolate(residual, size=mask_features.shape[-2:], mode="bilinear", align_corners=False)
        shared = mask_features if num_objects == 1 else mask_features.repeat_interleave(num_objects, dim=0)
        own = shared + residual
        own = torch.add(own, self.detail(functional.relu(own)))
        return own.view(batch, num_objects, *own.shape[1:])

    def _compare(self, pixels: Tensor, grid: tuple[int, int], tokens: _Remembered) -> Tensor:
        """Compare pixels with tokens: [B, Q, N, maps].

        One product gives cosine times temperature, minus the penalty of distance for recent tokens, minus a wall for
        tokens that are not there. Maps are the best logit of the four groups, the lead of the object's first look over
        its surroundings, a value read from all tokens, and the share of the object in that reading.
        """
        temperature = self.log_temperature.exp()
        pixel_keys = functional.normalize(self.key(pixels), dim=-1) * temperature
        pixel_keys = torch.cat([pixel_keys, self._pixel_places(grid, pixels).expand(len(pixels), -1, -1)], dim=-1)
        logits = pixel_keys[:, None] @ self._token_keys(tokens).transpose(2, 3)  # [B, Q, N, L]
        largest = torch.stack(
            [
                logits[..., start:stop].amax(dim=-1) if stop > start else torch.full_like(logits[..., 0], _CLOSED)
                for start, stop in pairwise(tokens.bounds)
            ],
            dim=-1,
        )  # [B, Q, N, 4]
        best = torch.where(largest > _CLOSED / 2, largest, 0) / temperature
        read = torch.softmax(logits, dim=-1) @ self._labelled_values(tokens)  # [B, Q, N, V + 1]
        read = read * tokens.is_usable.any(dim=-1)[:, :, None, None].to(read.dtype)
        return torch.cat([best, best[..., :1] - best[..., 2:3], read], dim=-1)

    def _pixel_places(self, grid: tuple[int, int], like: Tensor) -> Tensor:
        """Give the last columns of pixel keys: [N, 4]."""
        places = cell_centres((grid,), like)  # [N, 2]
        scale = self.log_locality.exp()
        squared = places.square().sum(-1, keepdim=True)
        return torch.cat([2 * scale * places, -scale * squared, torch.ones_like(squared)], dim=-1)

    def _token_keys(self, tokens: _Remembered) -> Tensor:
        """Give the keys of tokens with their places and the wall for what is not there: [B, Q, L, D]."""
        keys = functional.normalize(self.key(tokens.features), dim=-1)
        recent = tokens.is_recent.to(keys.dtype)[:, None]  # [L, 1]
        places = tokens.centres_xy * recent
        far = -self.log_locality.exp() * places.square().sum(-1, keepdim=True)
        wall = (~tokens.is_usable).to(keys.dtype)[..., None] * _CLOSED
        return torch.cat([keys, places, recent.expand_as(far), far + wall], dim=-1)

    def _labelled_values(self, tokens: _Remembered) -> Tensor:
        """Give what is read from each token: its value, then 1 on the object and 0 around it: [B, Q, L, V + 1]."""
        values = self.value(tokens.features) + self.role(tokens.is_on + 2 * tokens.is_recent)
        label = tokens.is_on.to(values.dtype)[:, None].expand_as(values[..., :1])
        return torch.cat([values, label], dim=-1)
