"""Backbones: pictures to four feature maps, at strides 4, 8, 16 and 32."""

from torch import nn

from univs.backbones.efficientnet_lite import EfficientNetLite
from univs.backbones.resnet import ResNet
from univs.backbones.swin import Swin
from univs.config import BackboneConfig, EfficientNetLiteConfig, ResNetConfig, SwinConfig

__all__ = ["EfficientNetLite", "ResNet", "Swin", "build_backbone"]


def build_backbone(config: BackboneConfig) -> nn.Module:
    """Build a backbone: normalised pictures [N, 3, H, W] -> a tuple of four maps [N, C_i, H / s, W / s]."""
    match config:
        case ResNetConfig():
            return ResNet(config)
        case SwinConfig():
            return Swin(config)
        case EfficientNetLiteConfig():
            return EfficientNetLite(config)
