import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from univs.prompt_encoder.sampling import (
    CellChoice,
    choose_background_cells,
    choose_cells,
    gather_cells,
    gather_points,
)

GRID = (6, 9)


def region(*cells: int) -> torch.Tensor:
    flat = torch.zeros(GRID[0] * GRID[1], dtype=torch.bool)
    flat[list(cells)] = True
    return flat.view(1, *GRID)


@given(cells=st.sets(st.integers(0, 53)), number=st.integers(1, 60), choice=st.sampled_from(CellChoice))
@settings(deadline=None, max_examples=60)
def test_chosen_cells_lie_in_the_region(cells: set[int], number: int, choice: CellChoice) -> None:
    chosen = choose_cells(region(*cells), number, choice)[0].tolist()
    assert len(chosen) == number
    assert set(chosen) - {-1} <= cells
    if choice is CellChoice.RASTER:
        assert cells == set() or -1 not in chosen
    else:
        real = [cell for cell in chosen if cell >= 0]
        assert len(real) == len(set(real)) == min(number, len(cells))


def test_raster_takes_the_first_cells_and_repeats_the_list() -> None:
    assert choose_cells(region(3, 7, 20), 2, CellChoice.RASTER).tolist() == [[3, 7]]
    assert choose_cells(region(3, 7, 20), 7, CellChoice.RASTER).tolist() == [[3, 7, 20, 3, 7, 20, 3]]


def test_spread_cells_cover_the_region() -> None:
    everything = torch.ones(1, 32, 32, dtype=torch.bool)
    chosen = choose_cells(everything, 16, CellChoice.SPREAD)[0]
    rows, columns = chosen // 32, chosen % 32
    quarters = {(int(row) // 8, int(column) // 8) for row, column in zip(rows, columns, strict=True)}
    assert len(quarters) == 16  # one in each of 4 x 4 blocks


def test_spread_is_the_same_every_time_and_random_follows_its_generator() -> None:
    everything = torch.ones(2, *GRID, dtype=torch.bool)
    spread = [choose_cells(everything, 5, CellChoice.SPREAD) for _ in range(2)]
    assert torch.equal(*spread)
    seeded = [choose_cells(everything, 5, CellChoice.RANDOM, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*seeded)


@pytest.mark.parametrize("choice", CellChoice)
def test_an_object_is_sampled_the_same_beside_others(choice: CellChoice) -> None:
    if choice is CellChoice.RANDOM:
        return
    alone = choose_cells(region(3, 7, 20), 5, choice)
    together = choose_cells(torch.cat([region(1), region(3, 7, 20)]), 5, choice)
    assert torch.equal(alone[0], together[1])


def test_background_lies_off_the_object_and_half_of_it_near() -> None:
    mask = torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[0, 8:12, 8:12] = True
    cells = choose_background_cells(mask, 10, CellChoice.SPREAD)[0]
    rows, columns = cells // 20, cells % 20
    assert not mask[0, rows, columns].any()
    is_near = (rows >= 6) & (rows < 14) & (columns >= 6) & (columns < 14)
    assert is_near.sum() == 5


def test_nothing_has_no_background() -> None:
    assert (choose_background_cells(region(), 4, CellChoice.SPREAD) == -1).all()


def test_gathered_features_are_those_of_the_cells_and_zero_where_padded() -> None:
    level = torch.randn(2, 3, *GRID)
    cells = torch.tensor([[[0, 13, -1]], [[53, -1, 10]]])
    features = gather_cells(level, cells)
    assert torch.equal(features[0, 0, 1], level[0, :, 1, 4])
    assert torch.equal(features[1, 0, 0], level[1, :, 5, 8])
    assert (features[0, 0, 2] == 0).all()
    assert (features[1, 0, 1] == 0).all()


def test_a_point_in_the_middle_of_a_cell_has_its_feature() -> None:
    level = torch.randn(3, *GRID)
    at_centre = gather_points(level, torch.tensor([[(4 + 0.5) / 9, (1 + 0.5) / 6]]))
    torch.testing.assert_close(at_centre[0], level[:, 1, 4])
