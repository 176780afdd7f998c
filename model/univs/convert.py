"""Names of tensors in the published checkpoints (`{"model": state dict}`) for the names of ours.

One table for each part of the network: its prefix here, its prefix there, and the rules that rewrite what follows,
applied in order. A tensor without a counterpart (beyond the paper) has no published key.
"""

import re
from collections.abc import Mapping, Sequence, Set
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

_AVERAGES = re.compile(r"^(backbone|sem_seg_head)_t\.")
_NOT_NEEDED = {
    rf"{re.escape(_PREDICTOR)}reid_temp\.weight": "a temperature that no part of the released code reads",
    r"backbone\..*\.relative_position_index": "follows from the window size; worked out anew",
    _AVERAGES.pattern + ".*": "running averages of the same weights; taken on request",
}
_REPLACED = "its running average was asked for instead"
_BEYOND_THE_PAPER = "beyond the paper; a seeded value that published prompts never use"
# Prefix of ours -> why a checkpoint may come without it.
_OPTIONAL = {
    "text_queries.image_attention.": "the checkpoint was made without attention from text to the image (VIS configs); "
    "seeded values, so text prompts cannot be used"
}
_THIRDS = ("query", "key", "value")
_CHOOSE = "choose the variant (r50, swin_t, swin_b, swin_l) that the checkpoint was made for"
_PATCHES = "backbone.patch_embed.proj.weight"
_SWIN_VARIANTS = {96: "swin_t", 128: "swin_b", 192: "swin_l"}  # by channels of the first stage
_NUM_NAMED = 5


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
    sources: dict[str, str]  # ours -> the published name it was read from
    not_needed: dict[str, str]  # published name -> why it has no place here
    missing: dict[str, str]  # ours that the checkpoint does not have -> why it may lack it

    @property
    def left_alone(self) -> tuple[str, ...]:
        """Ours that the checkpoint does not have: beyond the paper, or of a part it was built without."""
        return tuple(sorted(self.missing))


def guess_variant(published: Mapping[str, Tensor]) -> str:
    """Say which published network a state dict belongs to, by its backbone.

    Raises:
        WeightsMismatchError: when it is none of them.
    """
    names = {_AVERAGES.sub(r"\1.", name) for name in published}
    if "backbone.stem.conv1.weight" in names:
        return "r50"
    patches = published.get(_PATCHES, published.get(_PATCHES.replace("backbone.", "backbone_t.")))
    if patches is not None and patches.shape[0] in _SWIN_VARIANTS:
        return _SWIN_VARIANTS[patches.shape[0]]
    found = "no backbone" if patches is None else f"a Swin backbone of {patches.shape[0]} channels"
    raise WeightsMismatchError(
        f"expected the backbone of a published network (ResNet-50, Swin-T, Swin-B or Swin-L), got {found} among "
        f"{len(published)} tensors ({_some(sorted(published))}); give a checkpoint of UniVS"
    )


def convert_published(
    published: Mapping[str, Tensor], ours: Mapping[str, Tensor], *, use_averages: bool = False
) -> Conversion:
    """Bring a published state dict to the names and shapes of ours.

    Args:
        published: the entry "model" of a published checkpoint.
        ours: the state dict of a network built for it, for names and shapes.
        use_averages: take the running averages that checkpoints of the third training stage hold beside the weights.
    Raises:
        WeightsMismatchError: for a tensor of another shape, a published name that nobody knows, a tensor of ours that
            a published network always has, or averages that are not there.
    """
    found = _averages(published) if use_averages else published
    not_needed = dict.fromkeys(published.keys() - _marked(published), _REPLACED) if use_averages else {}
    sources = {}
    missing = {}
    for key in ours:
        name = published_key(key)
        if name is not None and name in found:
            sources[key] = name
        else:
            missing[key] = _reason_missing(key, name)
    _refuse_unknown(found.keys() - sources.values(), not_needed)
    lacking = sorted(key for key, reason in missing.items() if not reason)
    if lacking:
        raise WeightsMismatchError(
            f"expected all tensors of this variant, but {len(lacking)} of {len(ours)} are missing "
            f"({_some([published_key(key) or key for key in lacking])}); fetch the file again, or {_CHOOSE}"
        )
    state = {key: _fit(key, name, found[name], ours[key]) for key, name in sources.items()}
    return Conversion(state, sources, not_needed, missing)


def _marked(published: Mapping[str, Tensor]) -> set[str]:
    return {name for name in published if _AVERAGES.match(name)}


def _averages(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    marked = _marked(published)
    if not marked:
        raise WeightsMismatchError(
            f"expected running averages (backbone_t.*, sem_seg_head_t.*) among the {len(published)} tensors, found "
            "none; convert the weights themselves"
        )
    return {_AVERAGES.sub(r"\1.", name): published[name] for name in marked}


def _reason_missing(key: str, name: str | None) -> str:
    """Say why a checkpoint may lack a tensor; empty when it may not."""
    if name is None:
        return _BEYOND_THE_PAPER
    return next((reason for prefix, reason in _OPTIONAL.items() if key.startswith(prefix)), "")


def _refuse_unknown(names: Set[str], not_needed: dict[str, str]) -> None:
    """Note why each of the names is not needed; refuse names that nobody knows."""
    unknown = []
    for name in sorted(names):
        reason = next((why for pattern, why in _NOT_NEEDED.items() if re.fullmatch(pattern, name)), None)
        if reason is None:
            unknown.append(name)
        else:
            not_needed[name] = reason
    if unknown:
        raise WeightsMismatchError(
            f"expected published weights of this variant, got {len(unknown)} unknown tensors ({_some(unknown)}); "
            f"{_CHOOSE}"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NUM_NAMED]) + (" ..." if len(names) > _NUM_NAMED else "")


def _fit(key: str, name: str, tensor: Tensor, expected: Tensor) -> Tensor:
    """Cut queries, keys and values out of their joint matrix, and drop leading axes of 1."""
    if "in_proj_" in name and tensor.dim() and tensor.shape[0] % 3 == 0:
        tensor = tensor.chunk(3)[_THIRDS.index(key.split(".")[-2])]
    if tensor.shape != expected.shape and tensor.squeeze().shape == expected.shape:
        tensor = tensor.squeeze()
    if tensor.shape != expected.shape or not tensor.is_floating_point():
        raise WeightsMismatchError(
            f"expected floats of shape {tuple(expected.shape)} for '{name}', got {tensor.dtype} of shape "
            f"{tuple(tensor.shape)}; {_CHOOSE}"
        )
    if tensor.device.type != "meta" and not bool(tensor.isfinite().all()):
        raise WeightsMismatchError(
            f"expected finite values in '{name}', got {int((~tensor.isfinite()).sum())} that are not; training "
            "diverged or the file is damaged: take another checkpoint"
        )
    return tensor
