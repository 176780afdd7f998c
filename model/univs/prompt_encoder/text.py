"""Text prompts as queries: expressions that name one object, and names of categories.

Source: UniVS, section on text prompts; the projection and the attention to the image are those of the released code.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from univs.errors import UnsupportedPromptError
from univs.layers.attention import AttentionLayer
from univs.types import ClipFeatures, PromptKind, PromptQueries, PromptTokens


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """N texts in the text space."""

    sentences: Tensor  # [N, D]
    words: Tensor  # [N, W, D]
    is_padding: Tensor | None = None  # bool [N, W], places beyond a text; None where all count, as published

    @property
    def num_bytes(self) -> int:
        """Count the bytes of the tensors held."""
        held = [self.sentences, self.words, *([] if self.is_padding is None else [self.is_padding])]
        return sum(tensor.numel() * tensor.itemsize for tensor in held)

    @classmethod
    def join(cls, texts: Sequence["TextFeatures"], dtype: torch.dtype) -> "TextFeatures":
        """Line texts up that one encoder gave, at least one."""
        padding = [text.is_padding for text in texts if text.is_padding is not None]
        return cls(
            torch.cat([text.sentences for text in texts]).to(dtype),
            torch.cat([text.words for text in texts]).to(dtype),
            torch.cat(padding) if padding else None,
        )


class TextEncoder(Protocol):
    """Anything that puts texts into the text space of a network."""

    @property
    def text_dim(self) -> int:
        """D, which must be the network's `text_dim`."""
        ...

    def encode(self, texts: list[str]) -> TextFeatures:
        """Encode free expressions, as a sentence and as words."""
        ...

    def encode_names(self, names: list[str]) -> Tensor:
        """Encode names of categories as rows of a class table: [N, D], not normalised."""
        ...


class NamesOnly(nn.Module):
    """A text encoder for weights that were not trained with expressions: it refuses these, and reads names."""

    def __init__(self, encoder: TextEncoder, weights_name: str) -> None:
        super().__init__()
        self.encoder = encoder
        self._weights_name = weights_name

    @property
    def text_dim(self) -> int:
        """D."""
        return self.encoder.text_dim

    def encode(self, texts: list[str]) -> TextFeatures:  # noqa: ARG002 - any text is refused
        """Refuse.

        Raises:
            UnsupportedPromptError: always.
        """
        raise UnsupportedPromptError(
            f"expected points, a box, a mask or a scribble: the weights '{self._weights_name}' were not trained for "
            "text and would answer noise; use weights that were (`univs weights describe` says what for)"
        )

    def encode_names(self, names: list[str]) -> Tensor:
        """Encode names of categories: [N, D]."""
        return self.encoder.encode_names(names)


class TextQueryEncoder(nn.Module):
    """Bring text features to the decoder's space and let them look at the picture."""

    def __init__(self, channels: int, text_dim: int, num_heads: int, *, are_queries: bool = True) -> None:
        """Build it; without `are_queries` an initial query is the task's vector alone, whatever the text."""
        super().__init__()
        self.are_queries = are_queries
        self.norm = nn.LayerNorm(text_dim)
        self.project = nn.Linear(text_dim, channels)
        self.image_attention = AttentionLayer(channels, num_heads)
        self.expression_task = nn.Parameter(torch.empty(channels))
        self.category_task = nn.Parameter(torch.empty(channels))
        nn.init.trunc_normal_(self.project.weight, std=0.02)
        nn.init.zeros_(self.project.bias)
        nn.init.normal_(self.expression_task)
        nn.init.normal_(self.category_task)

    def expressions(
        self,
        features: ClipFeatures,
        sentences: Tensor,
        words: Tensor,
        is_padding: Tensor,
        word_padding: Tensor | None = None,
        *,
        attend_image: bool = True,
    ) -> PromptQueries:
        """Give each expression its query and its tokens: the sentence, then its words.

        Args:
            features: the clip.
            sentences: [B, Q, D].
            words: [B, Q, W, D].
            is_padding: bool [B, Q], slots that hold no expression.
            word_padding: bool [B, Q, W], places beyond an expression; None where all count.
            attend_image: let the tokens look at the picture first.
        """
        tokens = torch.cat([sentences[:, :, None], words], dim=2)
        queries = self._queries(features, tokens, is_padding, PromptKind.EXPRESSION, attend_image=attend_image)
        if word_padding is None:
            return queries
        blank = functional.pad(word_padding, (1, 0))[:, :, None].expand_as(queries.tokens.is_padding)
        return replace(queries, tokens=replace(queries.tokens, is_padding=blank))

    def categories(
        self, features: ClipFeatures, names: Tensor, is_padding: Tensor, *, attend_image: bool = True
    ) -> PromptQueries:
        """Give each category its query and its one token.

        Args:
            features: the clip.
            names: [B, Q, D], rows of a class table.
            is_padding: bool [B, Q].
            attend_image: let the tokens look at the picture first.
        """
        return self._queries(features, names[:, :, None], is_padding, PromptKind.CATEGORY, attend_image=attend_image)

    def _queries(
        self,
        features: ClipFeatures,
        text: Tensor,
        is_padding: Tensor,
        kind: PromptKind,
        *,
        attend_image: bool,
    ) -> PromptQueries:
        num_frames = features.mask_features.shape[1]
        tokens = self.project(self.norm(text))  # [B, Q, L, C]
        tokens = tokens[:, :, None].expand(-1, -1, num_frames, -1, -1)
        if attend_image:
            tokens = self._look(features, tokens)
        first = tokens[:, :, :, 0]  # [B, Q, T, C]
        if not self.are_queries:
            first = torch.zeros_like(first)
        task = self.expression_task if kind is PromptKind.EXPRESSION else self.category_task
        blank = torch.zeros(tokens.shape[:-1], dtype=torch.bool, device=tokens.device)
        return PromptQueries(
            kind=kind,
            content=first + task,
            position=first,
            tokens=PromptTokens(tokens, None, blank),
            is_padding=is_padding,
        )

    def _look(self, features: ClipFeatures, tokens: Tensor) -> Tensor:
        """Attend from text tokens to the pixels of all levels of the same frame, without positions."""
        pixels = torch.cat([level.flatten(3) for level in features.levels], dim=3)  # [B, T, C, N]
        pixels = pixels.flatten(0, 1).transpose(1, 2)
        x = tokens.transpose(1, 2)  # [B, T, Q, L, C]
        rows = x.flatten(0, 1).flatten(1, 2)  # [B*T, Q*L, C]
        seen: Tensor = self.image_attention(rows, rows, self.image_attention.project(pixels, pixels))
        return seen.view(x.shape).transpose(1, 2)
