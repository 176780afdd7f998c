"""The decoder in float32 with the attention masks of its float64 run.

A mask decides by the sign of a logit where a query may look. Rounding turns a logit of 1e-6 around now and then; the
query that may look at one cell more is another query from there on, and through self-attention so are all, a little.
Replaying the masks separates the two: with them float32 must agree everywhere, and masks of its own may differ at
logits next to zero only.
"""

from collections.abc import Callable
from typing import TypeVar
from unittest.mock import patch

import torch
from tests.model.parity.report import ATTENTION, Comparison, note
from torch import Tensor

from univs.layers.attention import AttentionLayer, KeyValue
from univs.mask_decoder import decoder
from univs.mask_decoder.image_attention import attend_image
from univs.mask_decoder.separation import QueryGroup

_NEXT_TO_ZERO = 1e-4
Answer = TypeVar("Answer")


def replayed(decode: Callable[[torch.dtype], Answer], fixture: str) -> Answer:
    """Decode in float32 with the attention masks of float64; its own may differ next to zero only.

    Of the fixture it is noted how many cells of the masks turn, and how far from zero the farthest of them was.
    """
    recorded: list[Tensor] = []
    largest, num_turned, num_cells = 0.0, 0, 0

    def record(layer: AttentionLayer, group: QueryGroup, image: KeyValue, logits: Tensor) -> QueryGroup:
        recorded.append(logits)
        return attend_image(layer, group, image, logits)

    def replay(layer: AttentionLayer, group: QueryGroup, image: KeyValue, logits: Tensor) -> QueryGroup:
        nonlocal largest, num_turned, num_cells
        truth = next(upcoming)
        turned = truth[(logits >= 0) != (truth >= 0)].abs()
        num_turned, num_cells = num_turned + turned.numel(), num_cells + truth.numel()
        largest = max([largest, *turned.tolist()])
        assert largest <= _NEXT_TO_ZERO
        return attend_image(layer, group, image, torch.where(truth >= 0, 1.0, -1.0))

    with patch.object(decoder, "attend_image", record):
        decode(torch.float64)
    upcoming = iter(recorded)
    with patch.object(decoder, "attend_image", replay):
        answer = decode(torch.float32)
    assert next(upcoming, None) is None, "as many layers in both runs"
    note(Comparison(fixture, ATTENTION, largest, num_cells - num_turned, num_cells))
    return answer
