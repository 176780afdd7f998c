"""ResNet with bottlenecks (He et al., 2016); the stride lies in the 3x3 convolution."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from univs.config import ResNetConfig
from univs.layers.norm import ConvNorm


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 around a shortcut."""

    def __init__(self, in_channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        out_channels = width * 4
        self.conv1 = ConvNorm(in_channels, width, 1)
        self.conv2 = ConvNorm(width, width, 3, stride=stride)
        self.conv3 = ConvNorm(width, out_channels, 1)
        has_shape_change = stride != 1 or in_channels != out_channels
        self.shortcut = ConvNorm(in_channels, out_channels, 1, stride=stride) if has_shape_change else None

    def forward(self, x: Tensor) -> Tensor:
        """Transform [N, C, H, W]."""
        residual = x if self.shortcut is None else self.shortcut(x)
        x = functional.relu(self.conv1(x), inplace=True)
        x = functional.relu(self.conv2(x), inplace=True)
        return functional.relu(self.conv3(x) + residual, inplace=True)


class ResNet(nn.Module):
    """Stem and four stages."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.stem = ConvNorm(3, config.width, 7, stride=2)
        in_channels = config.width
        stages = []
        for index, depth in enumerate(config.depths):
            width = config.width * 2**index
            blocks = [Bottleneck(in_channels, width, stride=1 if index == 0 else 2)]
            blocks += [Bottleneck(width * 4, width, stride=1) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
            in_channels = width * 4
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Give maps at strides 4, 8, 16, 32 of normalised pictures [N, 3, H, W]."""
        x = functional.relu(self.stem(images), inplace=True)
        x = functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        maps: list[Tensor] = []
        for stage in self.stages:
            x = torch.as_tensor(stage(x))
            maps.append(x)
        return tuple(maps)
