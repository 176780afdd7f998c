"""Names of tensors in the published checkpoints (`{"model": state dict}`) for the names of ours.

One table for each part of the network: its prefix here, its prefix there, and the rules that rewrite what follows,
applied in order. A tensor without a counterpart (beyond the paper) has no published key.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Part:
    prefix: str
    published_prefix: str
    rules: tuple[tuple[str, str], ...]  # (regular expression, replacement)


_BACKBONE = _Part(
    "backbone.",
    "backbone.",
    (
        # ResNet
        (r"^stem\.", "stem.conv1."),
        *((rf"^stages\.{index}\.(\d+\.(?:conv|shortcut))", rf"res{index + 2}.\1") for index in range(4)),
        (r"\.conv\.weight$", ".weight"),
        # Swin
        (r"^patches\.", "patch_embed.proj."),
        (r"^patch_norm\.", "patch_embed.norm."),
        (r"^stages\.(\d)\.(\d+)\.", r"layers.\1.blocks.\2."),
        (r"^merges\.(\d)\.", r"layers.\1.downsample."),
        (r"^norms\.(\d)\.", r"norm\1."),
        (r"\.attention_norm\.", ".norm1."),
        (r"\.feed_forward_norm\.", ".norm2."),
        (r"\.query_key_value\.", ".qkv."),
        (r"\.attention\.output\.", ".attention.proj."),
        (r"\.bias_table$", ".relative_position_bias_table"),
        (r"\.attention\.", ".attn."),
        (r"\.widen\.", ".mlp.fc1."),
        (r"\.narrow\.", ".mlp.fc2."),
    ),
)

_PIXEL_DECODER = _Part(
    "pixel_decoder.",
    "sem_seg_head.pixel_decoder.",
    (
        (r"^projections\.(\d)\.conv\.", r"input_proj.\1.0."),
        (r"^projections\.(\d)\.norm\.", r"input_proj.\1.1."),
        (r"^level_embedding$", "transformer.level_embed"),
        (r"^layers\.(\d)\.attention_norm\.", r"layers.\1.norm1."),
        (r"^layers\.(\d)\.feed_forward\.norm\.", r"layers.\1.norm2."),
        (r"^layers\.(\d)\.feed_forward\.widen\.", r"layers.\1.linear1."),
        (r"^layers\.(\d)\.feed_forward\.narrow\.", r"layers.\1.linear2."),
        (r"^layers\.(\d)\.attention\.offsets\.", r"layers.\1.self_attn.sampling_offsets."),
        (r"^layers\.(\d)\.attention\.weights\.", r"layers.\1.self_attn.attention_weights."),
        (r"^layers\.(\d)\.attention\.(value|output)\.", r"layers.\1.self_attn.\2_proj."),
        (r"^layers\.", "transformer.encoder.layers."),
        (r"^steps\.0\.lateral\.", "adapter_1."),
        (r"^steps\.0\.mix\.", "layer_1."),
        (r"_1\.conv\.", "_1."),
    ),
)

_PARTS = (_BACKBONE, _PIXEL_DECODER)


def published_key(key: str) -> str | None:
    """Give the published name of a tensor of ours, None if it has none."""
    for part in _PARTS:
        if key.startswith(part.prefix):
            rest = key.removeprefix(part.prefix)
            for pattern, replacement in part.rules:
                rest = re.sub(pattern, replacement, rest)
            return part.published_prefix + rest
    return None
