"""The unified mask decoder: learnable queries and prompt queries through the same layers.

Source: UniVS, section on the unified video mask decoder, after Masked-attention Mask Transformer (Cheng et al., 2022).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from univs.config import MaskDecoderConfig, PromptingConfig, TokenPath
from univs.layers.attention import AttentionLayer
from univs.layers.mlp import FeedForwardLayer
from univs.mask_decoder.heads import PredictionHeads
from univs.mask_decoder.image_attention import ImageMemory, attend_image, project_image, shrink
from univs.mask_decoder.prompt_attention import PromptMemory, attend_prompt, prompt_memory
from univs.mask_decoder.readout import DecodeOptions, Readout
from univs.mask_decoder.separation import QueryGroup, SelfAttention, TokenKeys, attend_self
from univs.types import ClipFeatures, Prediction, PromptKind, PromptQueries

_NUM_LEVELS = 3


class DecoderLayer(nn.Module):
    """One layer: prompt cross-attention, masked image cross-attention, separated self-attention, feed-forward."""

    def __init__(self, channels: int, config: MaskDecoderConfig) -> None:
        super().__init__()
        self.prompt_attention = AttentionLayer(channels, config.num_heads)
        self.image_attention = AttentionLayer(channels, config.num_heads)
        self.self_attention = AttentionLayer(channels, config.num_heads)
        self.feed_forward = FeedForwardLayer(channels, config.ffn_dim)


class MaskDecoder(nn.Module):
    """Turn queries into masks, classes and embeddings."""

    def __init__(
        self, channels: int, text_dim: int, config: MaskDecoderConfig, prompting: PromptingConfig | None = None
    ) -> None:
        super().__init__()
        self.prompting = prompting or PromptingConfig()
        self.query_content = nn.Parameter(torch.empty(config.num_learnable, channels))
        self.query_position = nn.Parameter(torch.empty(config.num_learnable, channels))
        self.level_embedding = nn.Parameter(torch.empty(_NUM_LEVELS, channels))
        for table in (self.query_content, self.query_position, self.level_embedding):
            nn.init.normal_(table)
        self.layers = nn.ModuleList(DecoderLayer(channels, config) for _ in range(config.num_layers))
        self.heads = PredictionHeads(channels, text_dim)

    def project(self, features: ClipFeatures, *, is_embedding_shared: bool = True) -> ImageMemory:
        """Prepare a clip; several calls of `forward` may share it.

        Args:
            features: the clip.
            is_embedding_shared: some query uses the clip's pixel embedding, and not one of its own.
        """
        layers = [layer.image_attention for layer in self._decoder_layers()]
        return project_image(layers, features, with_small=is_embedding_shared)

    def forward(
        self,
        image: ImageMemory,
        prompts: PromptQueries | None,
        *,
        use_learnable: bool,
        self_attention: SelfAttention = SelfAttention.SEPARATE,
        class_table: Tensor | None = None,
        options: DecodeOptions | None = None,
    ) -> Prediction:
        """Decode a clip.

        Args:
            image: of `project`.
            prompts: prompt queries; padded slots, tokens and rows of the class table change nothing else.
            use_learnable: decode the learnable queries as well: the first rows of the result.
            self_attention: who sees whom; expressions are always `BLOCKED`, as published.
            class_table: [K, D] or [B, K, D] category vectors, or sentence features when the prompts are expressions.
            options: what else is asked for.
        """
        options = options or DecodeOptions()
        is_grounding = prompts is not None and prompts.kind is PromptKind.EXPRESSION
        mode = SelfAttention.BLOCKED if is_grounding else self.prompting.self_attention or self_attention
        layers = self._decoder_layers()
        path = self.prompting.tokens
        memory = prompt_memory(prompts.tokens) if prompts is not None and path is TokenPath.CROSS_ATTENTION else None
        tokens = TokenKeys.of(prompts) if prompts is not None and path is TokenPath.SELF_ATTENTION else None
        has_company = prompts is not None and not use_learnable and self._mixes(mode)
        groups: Sequence[QueryGroup] = self._groups(image, prompts, memory, use_learnable=use_learnable or has_company)
        first = 1 if has_company else 0  # the group that was asked for
        maps = _pixel_maps(image, prompts, groups)
        readout = Readout.of(self.heads, class_table, options, image, is_grounding=is_grounding)
        auxiliary = []
        for index, layer in enumerate(layers):
            readings = readout.read(groups)
            if options.with_auxiliary:
                auxiliary.append(readout.predict(readings[first:], maps[-1][first:]))
            if index > 0 and memory is not None:
                groups = [_attend_prompt(layer, group, memory) for group in groups]
            with torch.no_grad():
                grid = image.grids[index % _NUM_LEVELS]
                logits = [shrink(group, grid) for group in readout.mask_logits(readings, maps[index % _NUM_LEVELS])]
            groups = [
                attend_image(layer.image_attention, group, image.layers[index], group_logits)
                for group, group_logits in zip(groups, logits, strict=True)
            ]
            groups = attend_self(layer.self_attention, groups, mode, tokens)
            groups = [group.moved(layer.feed_forward(group.x)) for group in groups]
        return readout.predict(readout.read(groups)[first:], maps[-1][first:], auxiliary=tuple(auxiliary))

    def _mixes(self, mode: SelfAttention) -> bool:
        """Say whether this network's prompts see the learnable queries, whoever asks."""
        return mode is self.prompting.self_attention and mode in (
            SelfAttention.NONE,
            SelfAttention.PROMPTS_SEE_LEARNABLE,
        )

    def _decoder_layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]

    def _groups(
        self,
        image: ImageMemory,
        prompts: PromptQueries | None,
        memory: PromptMemory | None,
        *,
        use_learnable: bool,
    ) -> list[QueryGroup]:
        """Line up the queries; prompts see their tokens once, and what they saw becomes their position."""
        batch, num_frames = image.mask_features.shape[:2]
        groups = []
        if use_learnable:
            content, position = (
                table[None, :, None].expand(batch, -1, num_frames, -1)
                for table in (self.query_content, self.query_position)
            )
            nothing = torch.zeros(content.shape[:2], dtype=torch.bool, device=content.device)
            groups.append(QueryGroup(content, position, nothing, is_prompt=False))
        if prompts is not None:
            start = QueryGroup(prompts.content, prompts.position, prompts.is_padding, is_prompt=True)
            if memory is not None:
                seen = attend_prompt(self._decoder_layers()[0].prompt_attention, start, memory)
                start = QueryGroup(seen, seen, prompts.is_padding, is_prompt=True)
            groups.append(start)
        if not groups:
            raise ValueError("expected prompts or use_learnable=True, got neither: there is nothing to decode")
        return groups


def _attend_prompt(layer: DecoderLayer, group: QueryGroup, memory: PromptMemory) -> QueryGroup:
    return group.moved(attend_prompt(layer.prompt_attention, group, memory)) if group.is_prompt else group


def _pixel_maps(image: ImageMemory, prompts: PromptQueries | None, groups: Sequence[QueryGroup]) -> list[list[Tensor]]:
    """Give each group its pixel embedding, for the masks at every level and then at stride 4: [level][group]."""
    own = prompts.mask_features if prompts is not None else None
    shared = [*(image.small or (image.mask_features,) * len(image.grids)), image.mask_features]
    return [[maps if own is None or not group.is_prompt else own for group in groups] for maps in shared]
