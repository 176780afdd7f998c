"""The network: frames to features, prompts to queries, queries to masks. No files, no sessions, no losses."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from univs.backbones import build_backbone
from univs.backbones.for_inference import for_inference
from univs.config import UniVSConfig
from univs.errors import UnsupportedPromptError
from univs.mask_decoder import DecodeOptions, MaskDecoder, SelfAttention, decode_in_tiles
from univs.memory_readout import MemoryReadout
from univs.pixel_decoder import PixelDecoder
from univs.presence import PresenceHead
from univs.prompt_encoder import TextEncoder, TextFeatures, TextQueryEncoder, VisualQueryEncoder
from univs.types import ClipFeatures, ClipWords, Prediction, PromptQueries

_STRIDE = 32


class UniVS(nn.Module):
    """Unified video segmentation with prompts as queries (Li et al., CVPR 2024)."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, config: UniVSConfig) -> None:
        super().__init__()
        self.config = config
        channels, heads = config.hidden_dim, config.mask_decoder.num_heads
        self.backbone = build_backbone(config.backbone)
        self.pixel_decoder = PixelDecoder(config)
        are_queries = config.prompting.are_queries
        self.visual_queries = VisualQueryEncoder(channels, are_queries=are_queries)
        self.text_queries = TextQueryEncoder(channels, config.text_dim, heads, are_queries=are_queries)
        self.mask_decoder = MaskDecoder(channels, config.text_dim, config.mask_decoder, config.prompting)
        has_readout = config.memory.dense_readout  # beyond the paper; published checkpoints have neither of these
        self.readout = MemoryReadout(config) if has_readout else None
        self.presence = PresenceHead(channels) if has_readout else None
        self.text_encoder: TextEncoder | None = None  # weights of its own, loaded apart
        self.register_buffer("pixel_mean", torch.tensor(config.pixels.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(config.pixels.std).view(3, 1, 1), persistent=False)

    @property
    def num_parameters(self) -> int:
        """Count all parameters but those of a text encoder."""
        return sum(
            parameter.numel() for name, parameter in self.named_parameters() if not name.startswith("text_encoder.")
        )

    @property
    def device(self) -> torch.device:
        """Say where the network computes."""
        return self.pixel_mean.device

    def encode_frames(self, images: Tensor, frame_indices: Tensor, words: ClipWords | None = None) -> ClipFeatures:
        """Look at frames; once for each frame, whatever is asked of it.

        Args:
            images: RGB in 0..255, uint8 or float [B, T, 3, H, W], of any size.
            frame_indices: int64 [B, T], absolute index of each frame.
            words: what the clips are asked for; networks without early fusion do not listen.
        Returns:
            Features of the picture padded right and bottom to a multiple of 32 with the mean colour. Levels hold the
            decoder's level embedding.
        """
        batch, num_frames = images.shape[:2]
        colours = images.flatten(0, 1).to(self.pixel_mean.dtype)
        pixels = torch.sub(colours, self.pixel_mean).div_(self.pixel_std)
        height, width = pixels.shape[-2:]
        if height % _STRIDE or width % _STRIDE:
            pixels = functional.pad(pixels, (0, -width % _STRIDE, 0, -height % _STRIDE))
        levels, mask_features = self.pixel_decoder(self.backbone(pixels), words)
        embedding = self.mask_decoder.level_embedding[:, :, None, None]
        return ClipFeatures(
            levels=tuple(
                (level + embedding[index]).unflatten(0, (batch, num_frames)) for index, level in enumerate(levels)
            ),
            mask_features=mask_features.unflatten(0, (batch, num_frames)),
            frame_indices=frame_indices,
            padded_size=(pixels.shape[-2], pixels.shape[-1]),
        )

    def optimize_for_inference(self, backbone_dtype: torch.dtype | None = None) -> "UniVS":
        """Put the backbone into its fastest form and stop gradients; in place, and not to be saved afterwards.

        Args:
            backbone_dtype: precision of the backbone; bfloat16 is faster on CPUs that have it. None keeps it.
        """
        self.eval().requires_grad_(False)
        self.backbone = for_inference(self.backbone, backbone_dtype)
        return self

    def look_back_keys(self, features: ClipFeatures) -> Tensor | None:
        """Give what the next frame is matched with: [B, h, w, D] of the last frame; None where nothing looks back."""
        if self.readout is None or self.readout.look_back is None:
            return None
        return self.readout.look_back.keys(features.levels[-1][:, -1])

    def encode_text(self, texts: Sequence[str]) -> TextFeatures:
        """Put expressions into the network's text space; the result holds for a whole video.

        Raises:
            UnsupportedPromptError: when no text encoder is loaded.
        """
        return self._text().encode(list(texts))

    def encode_names(self, names: Sequence[str]) -> Tensor:
        """Put names of categories into the text space, rows of a class table: [N, D].

        Raises:
            UnsupportedPromptError: when no text encoder is loaded.
        """
        return self._text().encode_names(list(names))

    def decode(
        self,
        features: ClipFeatures,
        prompts: PromptQueries | None,
        *,
        use_learnable: bool = False,
        self_attention: SelfAttention = SelfAttention.SEPARATE,
        class_table: Tensor | None = None,
        options: DecodeOptions | None = None,
        tile_size: int | None = None,
    ) -> Prediction:
        """Give masks, classes and embeddings for prompts and, on request, for the learnable queries.

        Args:
            features: of `encode_frames`.
            prompts: of `visual_queries` or `text_queries`; padded slots change nothing.
            use_learnable: decode the learnable queries too; their rows come first. They cost nothing otherwise.
            self_attention: who sees whom; `BLOCKED` keeps objects apart.
            class_table: [K, D] or [B, K, D], rows to classify against; sentence features for expressions.
            options: what else is asked for.
            tile_size: with `BLOCKED`, decode this many prompts at a time, one video after the other, so that results
                are equal to the last bit however many objects and videos there are. None decodes all at once.
        """
        options = options or DecodeOptions()
        if tile_size is not None and prompts is not None and self_attention is SelfAttention.BLOCKED:
            return decode_in_tiles(
                self.mask_decoder,
                features,
                prompts,
                use_learnable=use_learnable,
                class_table=class_table,
                options=options,
                tile_size=tile_size,
            )
        prediction: Prediction = self.mask_decoder(
            self.mask_decoder.project(features),
            prompts,
            use_learnable=use_learnable,
            self_attention=self_attention,
            class_table=class_table,
            options=options,
        )
        return prediction

    def _text(self) -> TextEncoder:
        if self.text_encoder is None:
            raise UnsupportedPromptError(
                f"expected a text encoder for a text prompt, but the weights of '{self.config.name}' come without one; "
                "`nano` gets one with pip install 'univs[text]', published weights with `univs weights convert "
                "--text-tower`; or prompt with points, a box, a scribble or a mask"
            )
        return self.text_encoder
