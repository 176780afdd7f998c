import math

import pytest
import torch

from univs.layers.position_encoding import encode_cells, encode_grid, encode_map, encode_points

LIKE = torch.zeros(1, 16, dtype=torch.float64)


def written_out(y: float, x: float, z: float, channels: int) -> list[float]:
    """The formula, channel by channel."""

    def sine(phase: float, number: int) -> list[float]:
        return [
            (math.sin, math.cos)[index % 2](phase / 10000 ** (2 * (index // 2) / number)) for index in range(number)
        ]

    plane = sine(y, channels // 2) + sine(x, channels // 2)
    return [a + b for a, b in zip(plane, sine(z, channels), strict=True)]


def test_cells_follow_the_formula() -> None:
    encoding = encode_grid(torch.tensor([[0, 7, 100_000]]), (3, 5), LIKE)  # [1, 3, 15, 16]
    for t, frame in enumerate((0, 7, 100_000)):
        for row, column in ((0, 0), (1, 4), (2, 2)):
            y = (row + 1) / (3 + 1e-6) * 2 * math.pi
            x = (column + 1) / (5 + 1e-6) * 2 * math.pi
            expected = torch.tensor(written_out(y, x, frame / 128 * 2 * math.pi, 16), dtype=torch.float64)
            assert torch.allclose(encoding[0, t, row * 5 + column], expected, atol=1e-9)


def test_points_use_their_own_coordinates() -> None:
    encoding = encode_points(torch.tensor([[0.25, 0.75]]), torch.tensor([3]), LIKE)
    expected = written_out(0.75 * 2 * math.pi, 0.25 * 2 * math.pi, 3 / 128 * 2 * math.pi, 16)
    assert torch.allclose(encoding[0], torch.tensor(expected, dtype=torch.float64), atol=1e-9)


def test_chosen_cells_equal_the_rows_of_the_grid() -> None:
    frames = torch.tensor([[2, 9], [4, 5]])
    grid = encode_grid(frames, (4, 6), LIKE)
    places = torch.tensor([[[0, 23, 7], [5, 5, 11]], [[1, 2, 3], [22, 0, 8]]])  # [B, T, R]
    chosen = encode_cells(places, frames[..., None], (4, 6), LIKE)
    assert torch.equal(chosen, grid.gather(2, places[..., None].expand(-1, -1, -1, 16)))


def test_plane_is_the_encoding_without_time() -> None:
    frame_zero = encode_grid(torch.tensor([[0]]), (4, 6), LIKE)[0, 0]
    at_zero = torch.tensor([0.0, 1.0] * 8, dtype=torch.float64)
    assert torch.allclose(encode_map((4, 6), LIKE), frame_zero - at_zero)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_encoding_has_the_type_asked_for(dtype: torch.dtype) -> None:
    assert encode_grid(torch.tensor([[1]]), (2, 3), torch.zeros(1, 8, dtype=dtype)).dtype is dtype
