"""What a video is asked for in words, for networks whose pixels look at words (`PromptingConfig.early_fusion`)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from univs.model import UniVS
from univs.types import ClipWords


def words_of(model: UniVS, vectors: Sequence[Tensor]) -> ClipWords | None:
    """Give words to look at frames with, from rows [N, D] of the text space; None where the network does not listen."""
    if not model.config.prompting.early_fusion or not vectors:
        return None
    rows = torch.cat(list(vectors))[None].to(model.device)
    return ClipWords(rows, torch.zeros(rows.shape[:2], dtype=torch.bool, device=rows.device))
