"""Small clips and prompts for the decoder's tests."""

from dataclasses import replace

import torch
from torch import Tensor

from univs.config import tiny
from univs.mask_decoder import MaskDecoder
from univs.types import ClipFeatures, PromptKind, PromptQueries, PromptTokens

CHANNELS, TEXT = 16, 32


def decoder() -> MaskDecoder:
    torch.manual_seed(0)
    return MaskDecoder(CHANNELS, TEXT, tiny().mask_decoder).double().eval().requires_grad_(False)


def clip(batch: int = 1, num_frames: int = 2, seed: int = 1) -> ClipFeatures:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(batch, num_frames, CHANNELS, *shape, generator=generator, dtype=torch.float64)

    levels = tuple(random(6 * scale, 4 * scale) for scale in (1, 2, 4))
    frame_indices = torch.arange(num_frames).expand(batch, -1)
    return ClipFeatures(levels, random(48, 32), frame_indices, (192, 128))


def prompts(number: int = 3, batch: int = 1, num_frames: int = 2, num_tokens: int = 5, seed: int = 2) -> PromptQueries:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(batch, number, *shape, CHANNELS, generator=generator, dtype=torch.float64)

    is_padding = torch.zeros(batch, number, 1, num_tokens, dtype=torch.bool)
    tokens = PromptTokens(random(1, num_tokens), random(1, num_tokens), is_padding)
    nothing = torch.zeros(batch, number, dtype=torch.bool)
    return PromptQueries(PromptKind.VISUAL, random(num_frames), random(num_frames), tokens, nothing)


def joined(first: PromptQueries, second: PromptQueries, *, is_padding: bool) -> PromptQueries:
    """Put the slots of `second` behind those of `first`, as padding or not."""

    def both(left: Tensor, right: Tensor) -> Tensor:
        return torch.cat([left, right], dim=1)

    left, right = first.tokens, second.tokens
    assert left.positions is not None
    assert right.positions is not None
    return replace(
        first,
        content=both(first.content, second.content),
        position=both(first.position, second.position),
        tokens=PromptTokens(
            both(left.features, right.features),
            both(left.positions, right.positions),
            both(left.is_padding, right.is_padding),
        ),
        is_padding=both(first.is_padding, second.is_padding | is_padding),
    )
