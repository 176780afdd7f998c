"""Whether an object is in the frame at all, read from its query and from the mask it drew.

Beyond the paper, which only compares embeddings over time; a lost object is to be called lost and not drawn somewhere.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_NUM_STATISTICS = 3


class PresenceHead(nn.Module):
    """Score presence from the embedding of a query and three numbers that describe its mask."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels + _NUM_STATISTICS, channels)
        self.out = nn.Linear(channels, 1)

    def forward(self, embeddings: Tensor, mask_logits: Tensor) -> Tensor:
        """Give logits of presence.

        Args:
            embeddings: [B, Q, T, C].
            mask_logits: [B, Q, T, H/4, W/4]; no gradient flows into them.
        Returns:
            [B, Q, T].
        """
        flat = mask_logits.detach().flatten(3)
        probability = flat.sigmoid()
        area = probability.mean(dim=-1)
        certainty = (probability * probability).sum(dim=-1) / probability.sum(dim=-1).clamp(min=1e-6)
        peak = torch.tanh(flat.amax(dim=-1) / 4)
        statistics = torch.stack([area.sqrt(), certainty, peak], dim=-1)
        hidden = functional.relu(self.hidden(torch.cat([embeddings, statistics.to(embeddings.dtype)], dim=-1)))
        scores: Tensor = self.out(hidden)
        return scores[..., 0]
