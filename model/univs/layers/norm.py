"""Convolutions with their norm.

`ConvNorm` has a batch norm whose statistics never change: it is a scale and a shift, so the convolution runs with
weights that already hold them. `fold_norms` writes them into the weights for good; do it for inference, after loading.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FrozenBatchNorm(nn.Module):
    """Scale and shift of a batch norm at inference; four buffers, nothing is learned."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def affine(self) -> tuple[Tensor, Tensor]:
        """Give scale and shift, each [C]."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [N, C, H, W]."""
        scale, shift = self.affine()
        return x * scale[:, None, None] + shift[:, None, None]


class ConvNorm(nn.Module):
    """Convolution without bias, frozen batch norm."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.padding = (kernel_size // 2, kernel_size // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, groups=groups, bias=False)
        self.norm: FrozenBatchNorm | None = FrozenBatchNorm(out_channels, eps)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Convolve [N, C_in, H, W] -> [N, C_out, H', W']."""
        return self.convolve(x, self.padding)

    def convolve(self, x: Tensor, padding: tuple[int, int]) -> Tensor:
        """Convolve with zeros on both sides of the rows and of the columns."""
        conv = self.conv
        weight, bias = conv.weight, conv.bias
        if self.norm is not None:
            scale, bias = self.norm.affine()
            weight = weight * scale[:, None, None, None]
        return functional.conv2d(x, weight, bias, conv.stride, padding, conv.dilation, conv.groups)

    @torch.no_grad()
    def fold(self) -> None:
        """Write the norm into the convolution; the state dict then has a bias and no norm."""
        if self.norm is None:
            return
        scale, shift = self.norm.affine()
        self.conv.weight.mul_(scale[:, None, None, None])
        self.conv.bias = nn.Parameter(shift, requires_grad=False)
        self.norm = None


class ConvGroupNorm(nn.Module):
    """Convolution, group norm; depthwise-separable if asked for."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        num_groups: int,
        has_bias: bool = False,
        is_separable: bool = False,
    ) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.depthwise: nn.Module = nn.Identity()
        if is_separable:
            self.depthwise = nn.Conv2d(
                in_channels, in_channels, kernel_size, padding=padding, groups=in_channels, bias=False
            )
            kernel_size, padding = 1, 0
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=has_bias)
        self.norm = nn.GroupNorm(num_groups, out_channels)
        nn.init.xavier_uniform_(self.conv.weight)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalise [N, C_in, H, W] -> [N, C_out, H, W]."""
        return torch.as_tensor(self.norm(self.conv(self.depthwise(x))))


def fold_norms(module: nn.Module) -> None:
    """Fold every frozen batch norm inside a module into its convolution."""
    for part in module.modules():
        if isinstance(part, ConvNorm):
            part.fold()
