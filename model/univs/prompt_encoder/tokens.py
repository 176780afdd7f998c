"""Visual tokens: pixel features together with the cells they were taken from.

A token is a row of the stride-8 map. Its place is kept as one integer, so that a memory of tokens costs no position
encodings and a restored session is the same session:
    cell >= 0    row * width + column, on the object (or on the background, for background tokens);
    cell == -1   no token: padding;
    cell <= -2   a token off the object (a negative click) in cell -2 - cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PADDING = -1


def mark_negative(cells: Tensor) -> Tensor:
    """Write cells as lying off the object; the way back is `VisualTokens.places`."""
    return -2 - cells


@dataclass(frozen=True, slots=True)
class VisualTokens:
    """R tokens in each of P frames; leading axes are free (videos, objects)."""

    features: Tensor  # [..., P, R, C]; zeros where padded
    cells: Tensor  # int64 [..., P, R], as above
    frame_indices: Tensor  # int64 [..., P]: the frame the tokens stand for; -1 where nothing is remembered
    source_indices: Tensor  # int64 [..., P]: the frame they were gathered from, which sets their temporal position
    grid_size: tuple[int, int]  # (rows, columns) of the stride-8 map

    @property
    def is_padding(self) -> Tensor:
        """Tell where there is no token: bool [..., P, R]."""
        return self.cells == PADDING

    @property
    def is_negative(self) -> Tensor:
        """Tell which tokens lie off the object: bool [..., P, R]."""
        return self.cells < PADDING

    @property
    def places(self) -> Tensor:
        """Give row * width + column whatever the sign: int64 [..., P, R]; 0 where padded."""
        return torch.where(self.is_negative, -2 - self.cells, self.cells).clamp(min=0)

    @property
    def centres_xy(self) -> Tensor:
        """Give the centres of the cells as fractions of the padded picture: [..., P, R, 2]."""
        rows, columns = self.grid_size
        places = self.places
        x = (places % columns + 0.5) / columns
        y = (places // columns + 0.5) / rows
        return torch.stack([x, y], dim=-1).to(self.features.dtype)


@dataclass(frozen=True, slots=True)
class ObjectTokens:
    """What is known of objects: tokens on them, and tokens of what lies around them."""

    foreground: VisualTokens
    background: VisualTokens


def stack_tokens(parts: Sequence[VisualTokens]) -> VisualTokens:
    """Stack tokens along a new first axis; at least one, all of one grid."""
    return VisualTokens(
        torch.stack([tokens.features for tokens in parts]),
        torch.stack([tokens.cells for tokens in parts]),
        torch.stack([tokens.frame_indices for tokens in parts]),
        torch.stack([tokens.source_indices for tokens in parts]),
        parts[0].grid_size,
    )


def join_tokens(parts: Sequence[VisualTokens], dim: int) -> VisualTokens:
    """Concatenate tokens along an axis, counted from the front; at least one, all of one grid."""
    return VisualTokens(
        torch.cat([tokens.features for tokens in parts], dim=dim),
        torch.cat([tokens.cells for tokens in parts], dim=dim),
        torch.cat([tokens.frame_indices for tokens in parts], dim=dim),
        torch.cat([tokens.source_indices for tokens in parts], dim=dim),
        parts[0].grid_size,
    )
