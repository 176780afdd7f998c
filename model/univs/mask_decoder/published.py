"""Names of the decoder's and the prompt encoders' weights in published checkpoints.

Published names carry the prefix `sem_seg_head.predictor.`; ours are those of `UniVS`. Attention weights are there stored
as one matrix for queries, keys and values, here as three.
"""

from collections.abc import Mapping

from torch import Tensor

PREFIX = "sem_seg_head.predictor."
UNUSED = {"reid_temp.weight": "a temperature that no part of the released code reads"}
"""Published weights that have no place here, and why."""

_ATTENTIONS = {
    "transformer_prompt_self_attention_layers.{}.multihead_attn": "mask_decoder.layers.{}.prompt_attention",
    "transformer_cross_attention_layers.{}.multihead_attn": "mask_decoder.layers.{}.image_attention",
    "transformer_self_attention_layers.{}.self_attn": "mask_decoder.layers.{}.self_attention",
}
_LANGUAGE = ("lang2vision_cross_attention_layer.multihead_attn", "text_queries.image_attention")
_MODULES = {
    "decoder_norm": "mask_decoder.heads.norm",
    "mask_embed.layers.0": "mask_decoder.heads.mask.0",
    "mask_embed.layers.1": "mask_decoder.heads.mask.2",
    "mask_embed.layers.2": "mask_decoder.heads.mask.4",
    "vis2text_projection": "mask_decoder.heads.to_text",
    "text_norm": "text_queries.norm",
    "text2vis_projection": "text_queries.project",
}
_TABLES = {
    "query_feat.weight": "mask_decoder.query_content",
    "query_embed.weight": "mask_decoder.query_position",
    "level_embed.weight": "mask_decoder.level_embedding",
}
_VECTORS = {
    "prompt_sot.weight": "visual_queries.task",
    "prompt_grounding.weight": "text_queries.expression_task",
    "prompt_detection.weight": "text_queries.category_task",
}
_TEMPERATURE = ("cls_temp.weight", "mask_decoder.heads.log_temperature")


def convert_predictor(published: Mapping[str, Tensor], num_layers: int) -> tuple[dict[str, Tensor], set[str]]:
    """Rename the weights of the decoder and the prompt encoders.

    Args:
        published: weights under their published names, prefix included; others are ignored.
        num_layers: layers of the decoder.
    Returns:
        Weights under our names, and the published names that were used. Weights that a checkpoint lacks (the language
        attention of VIS models) are left out, for the caller to account for.
    """
    converted: dict[str, Tensor] = {}
    used: set[str] = set()

    def take(name: str) -> Tensor | None:
        full = PREFIX + name
        if full not in published:
            return None
        used.add(full)
        return published[full]

    def put(name: str, tensor: Tensor | None) -> None:
        if tensor is not None:
            converted[name] = tensor

    attentions = [
        (source.format(layer), target.format(layer))
        for layer in range(num_layers)
        for source, target in _ATTENTIONS.items()
    ]
    for source, target in [*attentions, _LANGUAGE]:
        for kind in ("weight", "bias"):
            joint = take(f"{source}.in_proj_{kind}")
            if joint is not None:
                for part, tensor in zip(("query", "key", "value"), joint.chunk(3), strict=True):
                    put(f"{target}.{part}.{kind}", tensor)
            put(f"{target}.output.{kind}", take(f"{source}.out_proj.{kind}"))
            put(f"{target}.norm.{kind}", take(f"{source.rpartition('.')[0]}.norm.{kind}"))
    modules = dict(_MODULES)
    for layer in range(num_layers):
        feed_forward = f"mask_decoder.layers.{layer}.feed_forward"
        modules[f"transformer_ffn_layers.{layer}.linear1"] = f"{feed_forward}.widen"
        modules[f"transformer_ffn_layers.{layer}.linear2"] = f"{feed_forward}.narrow"
        modules[f"transformer_ffn_layers.{layer}.norm"] = f"{feed_forward}.norm"
    for source, target in modules.items():
        for kind in ("weight", "bias"):
            put(f"{target}.{kind}", take(f"{source}.{kind}"))
    for source, target in _TABLES.items():
        put(target, take(source))
    for source, target in [*_VECTORS.items()]:
        vector = take(source)
        put(target, None if vector is None else vector[0])
    temperature = take(_TEMPERATURE[0])
    put(_TEMPERATURE[1], None if temperature is None else temperature.reshape(()))
    return converted, used
