import pytest
import torch

from univs.layers.cells import cell_centres, split_levels
from univs.layers.position_encoding import encode_cells, encode_map

SIZES = ((2, 3), (5, 4))


def test_centres_lie_in_the_middle_of_their_cells_level_by_level_in_raster_order() -> None:
    expected = [
        ((j + 0.5) / columns, (i + 0.5) / rows) for rows, columns in SIZES for i in range(rows) for j in range(columns)
    ]
    centres = cell_centres(SIZES, torch.zeros((), dtype=torch.float64))
    assert torch.allclose(centres, torch.tensor(expected, dtype=torch.float64))
    assert cell_centres(SIZES, torch.zeros(())).dtype is torch.float32


@pytest.mark.parametrize("num_pictures", [1, 2])
def test_levels_hold_their_cells_and_their_channels_lie_last(num_pictures: int) -> None:
    tokens = torch.arange(num_pictures * 26 * 8).view(num_pictures, 26, 8)
    first, second = split_levels(tokens, SIZES)
    assert torch.equal(first.flatten(1, 2), tokens[:, :6])
    assert torch.equal(second[:, 3, 1], tokens[:, 6 + 3 * 4 + 1])
    level = second.permute(0, 3, 1, 2)
    assert level.stride(1) == 1
    assert torch.nn.functional.interpolate(level.float(), scale_factor=2.0).is_contiguous(
        memory_format=torch.channels_last
    )


def test_tables_made_at_inference_serve_training() -> None:
    with torch.inference_mode():
        like = torch.zeros(1, 12)
        cell_centres(((7, 9),), like)
        encode_map((7, 9), like)
    scale = torch.ones(12, requires_grad=True)
    places = encode_cells(torch.arange(4), torch.tensor([3]), (7, 9), torch.zeros(1, 12)) * scale
    places = places.sum() + (encode_map((7, 9), like) * scale).sum()
    (places + (cell_centres(((7, 9),), like) * scale[:2]).sum()).backward()  # type: ignore[no-untyped-call]
    assert scale.grad is not None
    assert scale.grad.isfinite().all()
