import pytest
import torch
from tests.model.parity.fixtures import DTYPES, assert_as_published, needs_fixtures, read

from univs.layers.position_encoding import encode_cells, encode_grid

pytestmark = needs_fixtures


@pytest.mark.parametrize(("key", "grid_size"), [("pos_stride32", (3, 4)), ("pos_stride16", (6, 8))])
@DTYPES
@pytest.mark.parametrize("frame_indices", [(0, 1)])
def test_encoding_equals_the_published_one(
    key: str, grid_size: tuple[int, int], frame_indices: tuple[int, ...], dtype: torch.dtype
) -> None:
    expected = read("pos_encoding_3d")[key].transpose(0, 1)  # [T, cells, C]
    like = torch.zeros(1, 256, dtype=dtype)
    frames = torch.tensor([frame_indices])
    assert_as_published(encode_grid(frames, grid_size, like)[0], expected)
    places = torch.arange(grid_size[0] * grid_size[1])
    assert_as_published(encode_cells(places, frames[0][:, None], grid_size, like), expected)
