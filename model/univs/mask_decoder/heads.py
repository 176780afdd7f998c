"""What a query says: a mask, a class, an embedding.

Source: UniVS, sections on the mask decoder and on the classifier over text embeddings.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class PredictionHeads(nn.Module):
    """Read queries; shared by all layers."""

    def __init__(self, channels: int, text_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mask = nn.Sequential(
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
        )
        self.to_text = nn.Linear(channels, text_dim)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        nn.init.trunc_normal_(self.to_text.weight, std=0.02)
        nn.init.zeros_(self.to_text.bias)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give the embedding for tracking and the mask embedding: both [B, Q, T, C]."""
        embeddings = self.norm(x)
        return embeddings, self.mask(embeddings)

    def classify(self, embeddings: Tensor, class_table: Tensor) -> Tensor:
        """Compare queries with category vectors by cosine, averaged over frames, with the learned temperature.

        Args:
            embeddings: [B, Q, T, C].
            class_table: [K, D] or [B, K, D], of any length.
        Returns:
            Logits for a sigmoid, [B, Q, K].
        """
        vectors = functional.normalize(self.to_text(embeddings), dim=-1).mean(dim=2)
        table = functional.normalize(class_table, dim=-1)
        return vectors @ table.transpose(-2, -1) * self.log_temperature.exp()

    def ground(self, embeddings: Tensor, sentences: Tensor) -> Tensor:
        """Compare queries with sentence features by the plain dot product, as published: [B, Q, K]."""
        return torch.as_tensor(self.to_text(embeddings).mean(dim=2)) @ sentences.transpose(-2, -1)


def mask_logits(mask_embeddings: Tensor, maps: Tensor) -> Tensor:
    """Multiply mask embeddings with pixel embeddings.

    Args:
        mask_embeddings: [B, Q, T, C].
        maps: [B, T, C, h, w], shared by all queries, or [B, Q, T, C, h, w], one for each.
    Returns:
        [B, Q, T, h, w].
    """
    if maps.dim() == 6:
        return torch.einsum("bqtc,bqtchw->bqthw", mask_embeddings, maps)
    return torch.einsum("bqtc,btchw->bqthw", mask_embeddings, maps)
