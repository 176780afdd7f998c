"""Swin transformer (Liu et al., 2021): attention inside windows that shift from block to block.

Maps are [N, H, W, C] inside. Any size is taken: a block pads its map to whole windows and cuts the result back.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from univs.config import SwinConfig
from univs.layers.drop_path import drop_path

_PATCH = 4
_BLOCKED = -100.0  # the published value for pairs that a shift brings together; not minus infinity


class WindowAttention(nn.Module):
    """Self-attention of the cells of a window, with a learned bias for each relative place."""

    relative_index: Tensor

    def __init__(self, channels: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        self.num_heads, self.window_size = num_heads, window_size
        self.query_key_value = nn.Linear(channels, channels * 3)
        self.output = nn.Linear(channels, channels)
        self.bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))
        self.register_buffer("relative_index", _relative_index(window_size), persistent=False)
        nn.init.trunc_normal_(self.bias_table, std=0.02)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Attend within windows.

        Args:
            windows: [N * W, M, C], M cells a window, the W windows of a picture behind each other.
            mask: [W, M, M], added to the scores; the same for every picture.
        """
        num_cells = windows.shape[1]
        heads = self.query_key_value(windows).reshape(*windows.shape[:2], 3, self.num_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each [N * W, heads, M, d]
        bias = self.bias_table[self.relative_index.flatten()].view(num_cells, num_cells, -1).permute(2, 0, 1)
        bias = bias[None]  # [1, heads, M, M]
        if mask is not None:
            bias = (bias + mask[:, None]).repeat(windows.shape[0] // mask.shape[0], 1, 1, 1)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return torch.as_tensor(self.output(mixed.transpose(1, 2).flatten(2)))


class SwinBlock(nn.Module):
    """Window attention and feed-forward, each on a normalised residual branch."""

    def __init__(self, channels: int, num_heads: int, window_size: int, *, is_shifted: bool, drop_rate: float) -> None:
        super().__init__()
        self.window_size = window_size
        self.shift = window_size // 2 if is_shifted else 0
        self.drop_rate = drop_rate
        self.attention_norm = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, num_heads, window_size)
        self.feed_forward_norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, channels * 4)
        self.narrow = nn.Linear(channels * 4, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Transform [N, H, W, C]."""
        x = x + self._dropped(self._attend(self.attention_norm(x)))
        hidden = functional.gelu(self.widen(self.feed_forward_norm(x)))
        return x + self._dropped(self.narrow(hidden))

    def _attend(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        size = self.window_size
        x = functional.pad(x, (0, 0, 0, -width % size, 0, -height % size))
        mask = None
        if self.shift:
            x = x.roll((-self.shift, -self.shift), dims=(1, 2))
            mask = _shift_mask((x.shape[1], x.shape[2]), size, self.shift, x)
        grid = (x.shape[1] // size, x.shape[2] // size)
        windows = x.reshape(-1, grid[0], size, grid[1], size, x.shape[-1]).transpose(2, 3)
        mixed = self.attention(windows.flatten(3, 4).flatten(0, 2), mask)
        x = mixed.view(-1, *grid, size, size, mixed.shape[-1]).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        if self.shift:
            x = x.roll((self.shift, self.shift), dims=(1, 2))
        return x[:, :height, :width]

    def _dropped(self, x: Tensor) -> Tensor:
        return drop_path(x, self.drop_rate, is_training=self.training)


class PatchMerging(nn.Module):
    """Halve a map: four neighbours become one cell of twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels * 4)
        self.reduction = nn.Linear(channels * 4, channels * 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Halve [N, H, W, C] -> [N, H / 2, W / 2, 2 C], odd sides rounded up."""
        x = functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        corners = [x[:, row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
        return torch.as_tensor(self.reduction(self.norm(torch.cat(corners, dim=-1))))


class Swin(nn.Module):
    """Patches and four stages; each stage is normalised where it is given out."""

    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, config.embed_dim, _PATCH, stride=_PATCH)
        self.patch_norm = nn.LayerNorm(config.embed_dim)
        last = max(1, sum(config.depths) - 1)
        stages = []
        for index, (channels, depth) in enumerate(zip(config.channels, config.depths, strict=True)):
            first = sum(config.depths[:index])
            blocks = [
                SwinBlock(
                    channels,
                    config.num_heads[index],
                    config.window_size,
                    is_shifted=position % 2 == 1,
                    drop_rate=config.drop_path * (first + position) / last,
                )
                for position in range(depth)
            ]
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.merges = nn.ModuleList(PatchMerging(channels) for channels in config.channels[:-1])
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for channels in config.channels)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Give maps at strides 4, 8, 16, 32 of normalised pictures [N, 3, H, W], sizes rounded up."""
        height, width = images.shape[-2:]
        images = functional.pad(images, (0, -width % _PATCH, 0, -height % _PATCH))
        x = self.patch_norm(self.patches(images).permute(0, 2, 3, 1))  # [N, H / 4, W / 4, C]
        maps: list[Tensor] = []
        for index, (stage, norm) in enumerate(zip(self.stages, self.norms, strict=True)):
            x = self.merges[index - 1](x) if index else x
            x = stage(x)
            maps.append(norm(x).permute(0, 3, 1, 2))
        return tuple(maps)


def _relative_index(window_size: int) -> Tensor:
    """Give the row of the bias table for each pair of cells: int64 [M, M]."""
    axis = torch.arange(window_size)
    cells = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).flatten(0, 1)  # [M, 2]
    distance = cells[:, None] - cells[None] + window_size - 1  # 0..2 * window_size - 2
    return distance[..., 0] * (2 * window_size - 1) + distance[..., 1]


def _shift_mask(padded_size: tuple[int, int], window_size: int, shift: int, like: Tensor) -> Tensor:
    """Block pairs of cells that only the shift made neighbours: [W, M, M], 0 or -100."""
    regions = []
    for side in padded_size:
        place = torch.arange(side, device=like.device)
        regions.append((place >= side - window_size).long() + (place >= side - shift).long())
    region = regions[0][:, None] * 3 + regions[1][None]  # [H, W]
    rows, columns = (side // window_size for side in padded_size)
    windows = region.view(rows, window_size, columns, window_size).transpose(1, 2)
    labels = windows.flatten(2, 3).flatten(0, 1)  # [W, M]
    return (labels[:, :, None] != labels[:, None]).to(like.dtype) * _BLOCKED


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
