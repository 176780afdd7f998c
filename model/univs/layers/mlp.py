"""The feed-forward part of a post-norm transformer layer."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FeedForwardLayer(nn.Module):
    """Two linear layers with ReLU, residual, layer norm."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.widen = nn.Linear(channels, hidden)
        self.narrow = nn.Linear(hidden, channels)
        self.norm = nn.LayerNorm(channels)
        nn.init.xavier_uniform_(self.widen.weight)
        nn.init.xavier_uniform_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each row: [..., C] -> [..., C]."""
        return torch.as_tensor(self.norm(x + self.narrow(functional.relu(self.widen(x)))))
