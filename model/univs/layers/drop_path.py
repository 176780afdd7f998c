"""Stochastic depth (Huang et al., 2016)."""

import torch
from torch import Tensor


def drop_path(x: Tensor, rate: float, *, is_training: bool) -> Tensor:
    """Drop whole rows of a residual branch at random and scale the others up: [N, ...]."""
    if rate == 0 or not is_training:
        return x
    keeps = torch.rand(x.shape[0], device=x.device) >= rate
    return x * (keeps / (1 - rate)).to(x.dtype).view(-1, *[1] * (x.dim() - 1))
