"""Masked attention to the image: a query looks where its last mask was.

Source: Masked-attention Mask Transformer (Cheng et al., 2022).
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from univs.layers.attention import AttentionLayer, KeyValue
from univs.layers.position_encoding import encode_grid
from univs.mask_decoder.separation import QueryGroup
from univs.types import ClipFeatures


@dataclass(frozen=True, slots=True)
class ImageMemory:
    """A clip as the decoder reads it, worked out once for all queries."""

    layers: tuple[KeyValue, ...]  # for each decoder layer: [B*T, heads, h*w, C / heads]
    mask_features: Tensor  # [B, T, C, H/4, W/4]
    grids: tuple[tuple[int, int], ...]  # (rows, columns) of each level
    small: tuple[Tensor, ...]  # mask_features at the size of each level: [B, T, C, h, w]; none when nobody needs them


def project_image(layers: list[AttentionLayer], features: ClipFeatures, *, with_small: bool = True) -> ImageMemory:
    """Prepare a clip: keys and values for every layer, which go through the levels in turn.

    The mask of a query at a level is its mask resized. Resizing is linear, so the shared pixel embedding is resized
    once instead of every query's mask in every layer. A query with a pixel embedding of its own has its mask resized:
    one map instead of C.
    """
    keys, values = [], []
    for level in features.levels:
        tokens = level.flatten(3).transpose(2, 3)  # [B, T, h*w, C]
        encoding = encode_grid(features.frame_indices, (level.shape[-2], level.shape[-1]), tokens)
        keys.append((tokens + encoding).flatten(0, 1))
        values.append(tokens.flatten(0, 1))
    number = len(features.levels)
    grids = tuple((level.shape[-2], level.shape[-1]) for level in features.levels)
    return ImageMemory(
        layers=tuple(layer.project(keys[index % number], values[index % number]) for index, layer in enumerate(layers)),
        mask_features=features.mask_features,
        grids=grids,
        small=tuple(shrink(features.mask_features, grid) for grid in grids) if with_small else (),
    )


def shrink(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize maps [..., C, H, W] to a level's grid, bilinear as the published masks are."""
    if maps.shape[-2:] == grid:
        return maps
    flat = maps.flatten(0, -4)
    small = functional.interpolate(flat, size=grid, mode="bilinear", align_corners=False)
    return small.view(*maps.shape[:-2], *grid)


def attend_image(layer: AttentionLayer, group: QueryGroup, image: KeyValue, logits: Tensor) -> QueryGroup:
    """Let each query look at the pixels of its mask, frame by frame; at all of them where the mask is empty.

    Args:
        layer: the attention.
        group: queries.
        image: [B*T, heads, h*w, C / heads].
        logits: mask logits, [B, Q, T, h, w] at the level.
    """
    is_open = (logits.detach() >= 0).flatten(3).transpose(1, 2).flatten(0, 1)  # [B*T, Q, h*w]
    is_open = is_open | ~is_open.any(dim=-1, keepdim=True)
    x = group.x.transpose(1, 2).flatten(0, 1)  # [B*T, Q, C]
    located = group.located.transpose(1, 2).flatten(0, 1)
    moved: Tensor = layer(x, located, image, is_open[:, None])
    batch, _, num_frames, _ = group.x.shape
    return group.moved(moved.view(batch, num_frames, *moved.shape[1:]).transpose(1, 2))
