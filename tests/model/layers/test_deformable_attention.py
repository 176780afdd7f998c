import math

import pytest
import torch
from torch import Tensor

from univs.layers.cells import cell_centres, split_levels
from univs.layers.deformable_attention import DeformableAttention, Places, read_maps, read_rows

SIZES = ((2, 3), (5, 4))
NUM_CELLS = 2 * 3 + 5 * 4


def attention(channels: int = 8) -> DeformableAttention:
    torch.manual_seed(0)
    layer = DeformableAttention(channels, num_heads=2, num_levels=2, num_points=3).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


def bilinear(level: Tensor, x: float, y: float) -> Tensor:
    """Read [d, rows, columns] at (x, y) in cells, cell centres at .5, zeros outside."""
    result = torch.zeros(level.shape[0], dtype=level.dtype)
    column, row = math.floor(x - 0.5), math.floor(y - 0.5)
    for i in (row, row + 1):
        for j in (column, column + 1):
            if 0 <= i < level.shape[1] and 0 <= j < level.shape[2]:
                result += level[:, i, j] * (1 - abs(y - 0.5 - i)) * (1 - abs(x - 0.5 - j))
    return result


def plain_loop(layer: DeformableAttention, queries: Tensor, values: Tensor) -> Tensor:
    result = torch.zeros(len(queries), 2, 4, dtype=torch.float64)  # [L, heads, d]
    offsets = layer.offsets(queries).view(-1, 2, 2, 3, 2)
    weights = layer.weights(queries).view(-1, 2, 6).softmax(-1).view(-1, 2, 2, 3)
    projected = layer.value(values).view(-1, 2, 4)
    centres = cell_centres(SIZES, queries)
    for index in range(len(queries)):
        for head in range(2):
            levels = split_levels(projected[None, :, head], SIZES)
            for number, (rows, columns) in enumerate(SIZES):
                for point in range(3):
                    dx, dy = offsets[index, head, number, point].tolist()
                    x, y = centres[index].tolist()
                    read = bilinear(levels[number][0].permute(2, 0, 1), x * columns + dx, y * rows + dy)
                    result[index, head] += weights[index, head, number, point] * read
    return torch.as_tensor(layer.output(result.flatten(1)))


@torch.no_grad()
def test_equals_a_plain_loop() -> None:
    layer = attention()
    queries, values = torch.randn(2, 1, NUM_CELLS, 8, dtype=torch.float64)
    assert torch.allclose(layer(queries, values, SIZES)[0], plain_loop(layer, queries[0], values[0]), atol=1e-10)


@torch.no_grad()
def test_batch_equals_single() -> None:
    layer = attention()
    queries, values = torch.randn(2, 3, NUM_CELLS, 8, dtype=torch.float64)
    together = layer(queries, values, SIZES)
    for index in range(3):
        alone = layer(queries[index : index + 1], values[index : index + 1], SIZES)
        assert torch.allclose(together[index], alone[0], atol=1e-12)


@torch.no_grad()
def test_starts_by_reading_around_each_cell() -> None:
    layer = DeformableAttention(8, num_heads=4, num_levels=2, num_points=2)
    offsets = layer.offsets(torch.randn(1, 8)).view(4, 2, 2, 2)
    assert torch.allclose(offsets[0, 0], torch.tensor([[1.0, 0.0], [2.0, 0.0]]), atol=1e-6)
    assert torch.allclose(offsets[1, 1], torch.tensor([[0.0, 1.0], [0.0, 2.0]]), atol=1e-6)


@pytest.mark.parametrize("spread", [0.5, 3.0, 100.0])
def test_both_ways_to_read_give_the_same_values_and_gradients(spread: float) -> None:
    torch.manual_seed(0)
    shape = (2, NUM_CELLS, 2, 2, 3)  # [N, L, heads, levels, points]
    heads = torch.randn(2, NUM_CELLS, 2, 4, dtype=torch.float64, requires_grad=True)
    offsets = (torch.randn(*shape, 2, dtype=torch.float64) * spread).requires_grad_()
    weights = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    results = []
    for read in (read_maps, read_rows):
        mixed = read(heads, Places(offsets, weights, SIZES))
        results.append((mixed, *torch.autograd.grad(mixed.sin().sum(), (heads, offsets, weights))))
    for by_map, by_row in zip(*results, strict=True):
        assert torch.allclose(by_map, by_row, atol=1e-10)
