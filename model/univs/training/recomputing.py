"""Gradient checkpointing: blocks keep their inputs alone, and compute the rest once more on the way back.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016. Gradients are those of a plain run.
"""

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from univs.backbones.efficientnet_lite import InvertedBottleneck
from univs.backbones.resnet import Bottleneck
from univs.backbones.swin import SwinBlock
from univs.layers.attention import AttentionLayer
from univs.layers.mlp import FeedForwardLayer
from univs.pixel_decoder import EncoderLayer

_BLOCKS = (InvertedBottleneck, Bottleneck, SwinBlock, EncoderLayer, AttentionLayer, FeedForwardLayer)


class _Recomputed:
    """The forward pass of a block, forgotten until its gradient is needed."""

    def __init__(self, block: nn.Module) -> None:
        self._forward = block.forward

    def __call__(self, *inputs: Any) -> Any:  # Any: whatever the block takes and gives
        if not torch.is_grad_enabled():
            return self._forward(*inputs)
        return checkpoint(self._forward, *inputs, use_reentrant=False)


def recompute_in_backward(model: nn.Module) -> int:
    """Let the blocks of a network be computed once more on the way back; give how many there are.

    Names of parameters stay as they are. A block inside of another is left alone.
    """
    count = 0
    for child in model.children():
        if isinstance(child, _BLOCKS):
            if not isinstance(child.forward, _Recomputed):
                child.forward = _Recomputed(child)  # type: ignore[method-assign, assignment]
            count += 1
        else:
            count += recompute_in_backward(child)
    return count
