"""Pixel decoder: backbone maps to three levels for attention and the pixel embedding at stride 4.

Source: multi-scale deformable attention of Mask2Former (Cheng et al., 2022), one frame at a time, as UniVS uses it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from univs.config import PixelDecoderConfig, UniVSConfig
from univs.layers.attention import AttentionLayer
from univs.layers.cells import split_levels
from univs.layers.deformable_attention import DeformableAttention
from univs.layers.mlp import FeedForwardLayer
from univs.layers.norm import ConvGroupNorm
from univs.layers.position_encoding import encode_map
from univs.types import ClipWords


class EncoderLayer(nn.Module):
    """Deformable self-attention and feed-forward, post-norm."""

    def __init__(self, channels: int, num_levels: int, config: PixelDecoderConfig) -> None:
        super().__init__()
        self.attention = DeformableAttention(channels, config.num_heads, num_levels, config.num_points)
        self.attention_norm = nn.LayerNorm(channels)
        self.feed_forward = FeedForwardLayer(channels, config.ffn_dim)

    def forward(self, x: Tensor, positions: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Transform tokens [N, L, C]; positions [L, C] are added to the queries only."""
        x = self.attention_norm(x + self.attention(x + positions, x, sizes))
        return torch.as_tensor(self.feed_forward(x))


class TopDownStep(nn.Module):
    """Bring a coarser map to a finer stride and mix it with the backbone's map there."""

    def __init__(self, in_channels: int, channels: int, config: PixelDecoderConfig) -> None:
        super().__init__()
        self.lateral = ConvGroupNorm(in_channels, channels, 1, num_groups=config.norm_groups)
        self.mix = ConvGroupNorm(channels, channels, 3, num_groups=config.norm_groups, is_separable=config.is_separable)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Mix a backbone map [N, C_in, h, w] with a coarser decoder map [N, C, h', w']: [N, C, h, w]."""
        lateral = self.lateral(fine)
        size = (lateral.shape[-2], lateral.shape[-1])
        coarse = functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
        return functional.relu(self.mix(lateral + coarse), inplace=True)


class EarlyFusion(nn.Module):
    """Let pixels look at words before they look at each other. An ablation: UniVS has none.

    Source: UNINEXT (Yan et al., CVPR 2023), early fusion. There words look at pixels in the same step; here they do so
    in every network, when they become queries (`TextQueryEncoder.image_attention`).
    """

    def __init__(self, channels: int, text_dim: int, num_heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(text_dim)
        self.project = nn.Linear(text_dim, channels)
        self.attention = AttentionLayer(channels, num_heads)

    def forward(self, x: Tensor, words: ClipWords) -> Tensor:
        """Move pixels [N, L, C], N = B * T, by the words of their clip; without words they stay as they are."""
        repeats = len(x) // len(words.features)
        rows = self.project(self.norm(words.features.to(x.dtype)))
        is_open = ~words.is_padding
        has_words = is_open.any(dim=1)
        is_open = is_open | ~has_words[:, None]
        memory = self.attention.project(rows, rows).expand(repeats)
        fused = self.attention(x, x, memory, is_open.repeat_interleave(repeats, dim=0)[:, None, None])
        return torch.where(has_words.repeat_interleave(repeats)[:, None, None], fused, x)


class PixelDecoder(nn.Module):
    """Deformable encoder over the coarse levels, top-down path over the fine ones."""

    def __init__(self, config: UniVSConfig) -> None:
        super().__init__()
        settings, channels = config.pixel_decoder, config.hidden_dim
        in_channels = config.backbone.channels[::-1]  # coarse to fine
        self.num_deformable = len(settings.deformable_strides)
        self.projections = nn.ModuleList(
            ConvGroupNorm(number, channels, 1, num_groups=settings.norm_groups, has_bias=True)
            for number in in_channels[: self.num_deformable]
        )
        self.level_embedding = nn.Parameter(torch.empty(self.num_deformable, channels).normal_())
        self.layers = nn.ModuleList(
            EncoderLayer(channels, self.num_deformable, settings) for _ in range(settings.num_layers)
        )
        self.steps = nn.ModuleList(
            TopDownStep(number, channels, settings) for number in in_channels[self.num_deformable :]
        )
        self.mask_features = nn.Conv2d(channels, channels, 1)
        has_fusion = config.prompting.early_fusion
        self.fusion = EarlyFusion(channels, config.text_dim, settings.num_heads) if has_fusion else None

    def forward(
        self, features: tuple[Tensor, ...], words: ClipWords | None = None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Decode frames, each by itself, in the precision of the weights whatever autocast says.

        Args:
            features: maps of the backbone at strides 4, 8, 16, 32, each [N, C_i, h, w].
            words: of B clips of T frames, N = B * T; for early fusion only.
        Returns:
            Levels coarse to fine, strides 32, 16, 8, each [N, C, h, w], and mask features [N, C, H/4, W/4].
        """
        with torch.autocast(features[0].device.type, enabled=False):
            inputs = [map_.to(self.mask_features.weight.dtype) for map_ in features[::-1]]
            maps = self._encode(inputs[: self.num_deformable], words)
            for step, fine in zip(self.steps, inputs[self.num_deformable :], strict=True):
                maps.append(step(fine, maps[-1]))
            return tuple(maps[:-1]), self.mask_features(maps[-1])

    def _encode(self, inputs: Sequence[Tensor], words: ClipWords | None) -> list[Tensor]:
        """Run the deformable layers over the levels together."""
        projected = [projection(map_) for projection, map_ in zip(self.projections, inputs, strict=True)]
        sizes = [(map_.shape[-2], map_.shape[-1]) for map_ in projected]
        x = torch.cat([map_.flatten(2).transpose(1, 2) for map_ in projected], dim=1)  # [N, L, C]
        positions = torch.cat(
            [encode_map(size, x) + level for size, level in zip(sizes, self.level_embedding, strict=True)]
        )
        if self.fusion is not None and words is not None:
            x = self.fusion(x, words)
        for layer in self.layers:
            x = layer(x, positions, sizes)
        return [level.permute(0, 3, 1, 2) for level in split_levels(x, sizes)]
