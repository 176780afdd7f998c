"""Names of tensors in the published checkpoints (`{"model": state dict}`) for the names of ours.

One table for each part of the network: its prefix here, its prefix there, and the rules that rewrite what follows,
applied in order. A tensor without a counterpart (beyond the paper) has no published key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from univs.errors import WeightsMismatchError


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

_PREDICTOR = "sem_seg_head.predictor."

_ATTENTION = (
    (r"(?<=\.)self_attention\.(query|key|value|output)\.", r"self_attention.self_attn.\1."),
    (r"(prompt|image)_attention\.(query|key|value|output)\.", r"\1_attention.multihead_attn.\2."),
    (r"_attn\.(?:query|key|value)\.(weight|bias)$", r"_attn.in_proj_\1"),
    (r"_attn\.output\.", "_attn.out_proj."),
)

_MASK_DECODER = _Part(
    "mask_decoder.",
    _PREDICTOR,
    (
        *_ATTENTION,
        (r"^layers\.(\d)\.prompt_attention\.", r"transformer_prompt_self_attention_layers.\1."),
        (r"^layers\.(\d)\.image_attention\.", r"transformer_cross_attention_layers.\1."),
        (r"^layers\.(\d)\.self_attention\.", r"transformer_self_attention_layers.\1."),
        (r"^layers\.(\d)\.feed_forward\.", r"transformer_ffn_layers.\1."),
        (r"\.widen\.", ".linear1."),
        (r"\.narrow\.", ".linear2."),
        (r"^heads\.norm\.", "decoder_norm."),
        (r"^heads\.mask\.0\.", "mask_embed.layers.0."),
        (r"^heads\.mask\.2\.", "mask_embed.layers.1."),
        (r"^heads\.mask\.4\.", "mask_embed.layers.2."),
        (r"^heads\.to_text\.", "vis2text_projection."),
        (r"^heads\.log_temperature$", "cls_temp.weight"),
        (r"^query_content$", "query_feat.weight"),
        (r"^query_position$", "query_embed.weight"),
        (r"^level_embedding$", "level_embed.weight"),
    ),
)

_TEXT_QUERIES = _Part(
    "text_queries.",
    _PREDICTOR,
    (
        *_ATTENTION,
        (r"^image_attention\.", "lang2vision_cross_attention_layer."),
        (r"^norm\.", "text_norm."),
        (r"^project\.", "text2vis_projection."),
        (r"^expression_task$", "prompt_grounding.weight"),
        (r"^category_task$", "prompt_detection.weight"),
    ),
)

_VISUAL_QUERIES = _Part("visual_queries.task", _PREDICTOR, ((r"^$", "prompt_sot.weight"),))

_PARTS = (_BACKBONE, _PIXEL_DECODER, _MASK_DECODER, _TEXT_QUERIES, _VISUAL_QUERIES)

_NOT_NEEDED = {
    rf"{re.escape(_PREDICTOR)}reid_temp\.weight": "a temperature that no part of the released code reads",
    r"backbone\..*\.relative_position_index": "follows from the window size; worked out anew",
    r"(?:backbone_t|sem_seg_head_t)\..*": "running averages of the same weights; see `use_averages`",
}
_THIRDS = ("query", "key", "value")


def published_key(key: str) -> str | None:
    """Give the published name of a tensor of ours, None if it has none.

    Queries, keys and values of an attention share one published tensor, its thirds in this order.
    """
    for part in _PARTS:
        if key.startswith(part.prefix):
            rest = key.removeprefix(part.prefix)
            for pattern, replacement in part.rules:
                rest = re.sub(pattern, replacement, rest)
            return part.published_prefix + rest
    return None


@dataclass(frozen=True, slots=True)
class Conversion:
    """A published state dict under our names, with every tensor of both sides accounted for."""

    state: dict[str, Tensor]
    not_needed: dict[str, str]  # published name -> why it has no place here
    left_alone: tuple[
        str, ...
    ]  # ours that the checkpoint does not have: beyond the paper, or of a part it was built without


def convert_published(
    published: Mapping[str, Tensor], ours: Mapping[str, Tensor], *, use_averages: bool = False
) -> Conversion:
    """Bring a published state dict to the names and shapes of ours.

    Args:
        published: the entry "model" of a published checkpoint.
        ours: the state dict of a network built for it, for names and shapes.
        use_averages: take the running averages that checkpoints of the third training stage hold beside the weights.
    Raises:
        WeightsMismatchError: for a tensor of another shape, or a published name that nobody knows.
    """
    found = _averages(published) if use_averages else published
    state: dict[str, Tensor] = {}
    used = set()
    for key, expected in ours.items():
        name = published_key(key)
        if name is None or name not in found:
            continue
        used.add(name)
        state[key] = _fit(key, name, found[name], expected)
    not_needed = {}
    for name in found.keys() - used:
        reason = next((why for pattern, why in _NOT_NEEDED.items() if re.fullmatch(pattern, name)), None)
        if reason is None:
            raise WeightsMismatchError(
                f"expected published weights of this variant, got the unknown tensor '{name}'; "
                "choose the variant (r50, swin_t, swin_b, swin_l) that the checkpoint was made for"
            )
        not_needed[name] = reason
    return Conversion(state, not_needed, tuple(sorted(ours.keys() - state.keys())))


def _averages(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    marked = re.compile(r"^(backbone|sem_seg_head)_t\.")
    return {marked.sub(r"\1.", name): tensor for name, tensor in published.items() if marked.match(name)}


def _fit(key: str, name: str, tensor: Tensor, expected: Tensor) -> Tensor:
    """Cut queries, keys and values out of their joint matrix, and drop leading axes of 1."""
    if "in_proj_" in name:
        tensor = tensor.chunk(3)[_THIRDS.index(key.split(".")[-2])]
    if tensor.shape != expected.shape and tensor.squeeze().shape == expected.shape:
        tensor = tensor.squeeze()
    if tensor.shape != expected.shape:
        raise WeightsMismatchError(
            f"expected shape {tuple(expected.shape)} for '{name}', got {tuple(tensor.shape)}; "
            "choose the variant (r50, swin_t, swin_b, swin_l) that the checkpoint was made for"
        )
    return tensor
