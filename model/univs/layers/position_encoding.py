"""Sine encodings of places: of a cell in a map, and of a cell or point in a frame of a video.

Phases are y = (row + 1) / (rows + 1e-6) * 2 pi, likewise x, and z = frame index / 128 * 2 pi. The first half of the
channels holds y, the second x; z is added over all of them. Pairs of channels hold sine and cosine of one frequency.

Source: Carion et al., 2020 (DETR), as UniVS extends it to absolute frame indices. Phases are computed in float64, so
that frame 100,000 is as exact as frame 0.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

_TEMPERATURE = 10000.0
_FRAMES_PER_TURN = 128
_TURN = 2 * math.pi


def encode_map(grid_size: tuple[int, int], like: Tensor) -> Tensor:
    """Encode the cells of one map in raster order.

    Args:
        grid_size: (rows, columns).
        like: [..., C] gives the number of channels, dtype and device; C is a multiple of 4.
    Returns:
        [rows * columns, C].
    """
    rows, columns = _axis_tables(grid_size, like)  # [rows, C/2], [columns, C/2]
    height, width = grid_size
    return torch.cat([rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)], dim=-1).flatten(0, 1)


def encode_grid(frame_indices: Tensor, grid_size: tuple[int, int], like: Tensor) -> Tensor:
    """Encode every cell of every frame.

    Args:
        frame_indices: int64 [B, T], absolute.
        grid_size: (rows, columns) of the map.
        like: [..., C] gives the number of channels, dtype and device.
    Returns:
        [B, T, rows * columns, C].
    """
    return encode_map(grid_size, like) + _encode_frames(frame_indices, like)[..., None, :]


def encode_cells(places: Tensor, frame_indices: Tensor, grid_size: tuple[int, int], like: Tensor) -> Tensor:
    """Encode chosen cells.

    Args:
        places: int64 [...], row * columns + column.
        frame_indices: int64, broadcast against `places`.
        grid_size: (rows, columns) of the map.
        like: [..., C] gives the number of channels, dtype and device.
    Returns:
        [..., C].
    """
    rows, columns = _axis_tables(grid_size, like)
    width = grid_size[1]
    plane = torch.cat([rows[places // width], columns[places % width]], dim=-1)
    return plane + _encode_frames(frame_indices, like)


def encode_points(points_xy: Tensor, frame_indices: Tensor, like: Tensor) -> Tensor:
    """Encode points by their own coordinates, not by the cell they lie in.

    Args:
        points_xy: [..., 2], fractions of the padded picture.
        frame_indices: int64, broadcast against the leading axes.
        like: [..., C] gives the number of channels, dtype and device.
    Returns:
        [..., C].
    """
    half = like.shape[-1] // 2
    phases = points_xy.double() * _TURN
    plane = torch.cat([_sine(phases[..., 1], half), _sine(phases[..., 0], half)], dim=-1)
    return plane.to(like.dtype) + _encode_frames(frame_indices, like)


def _axis_tables(grid_size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Encode all rows and all columns: [rows, C/2] and [columns, C/2]. Nobody writes into them."""
    rows, columns = (_axis_table(size, like.shape[-1] // 2, like.dtype, like.device) for size in grid_size)
    return rows, columns


@lru_cache(maxsize=128)
@torch.inference_mode(mode=False)  # kept for training as well, which may come after inference
def _axis_table(size: int, channels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    phases = torch.arange(1, size + 1, device=device, dtype=torch.float64) / (size + 1e-6) * _TURN
    return _sine(phases, channels).to(dtype)


def _encode_frames(frame_indices: Tensor, like: Tensor) -> Tensor:
    phases = frame_indices.to(like.device).double() / _FRAMES_PER_TURN * _TURN
    return _sine(phases, like.shape[-1]).to(like.dtype)


def _sine(phases: Tensor, channels: int) -> Tensor:
    """Give sine and cosine at falling frequencies: float64 [...] -> [..., channels]."""
    angles = phases[..., None] / _periods(channels, phases.device)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)
def _periods(channels: int, device: torch.device) -> Tensor:
    """Give the phase for which each pair of channels turns by 1: float64 [channels / 2]."""
    return _TEMPERATURE ** (torch.arange(0, channels, 2, device=device, dtype=torch.float64) / channels)
