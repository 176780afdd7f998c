import numpy as np
import pytest
import torch

from univs.data.shapes import STUFF, THINGS, MovingShapes

SIZE = (64, 96)


def test_a_video_depends_on_its_seed_and_place_alone() -> None:
    one, other = MovingShapes(3, 8, seed=4), MovingShapes(9, 5, seed=4)
    for position in (0, 4):
        left, right = one.read(2, position), other.read(2, position)
        assert torch.equal(left.image, right.image)
        assert torch.equal(left.masks, right.masks)
    assert not torch.equal(one.read(2, 0).image, MovingShapes(3, 8, seed=5).read(2, 0).image)
    assert not torch.equal(one.read(2, 0).image, one.read(1, 0).image)


@pytest.mark.parametrize("item_index", range(12))
def test_every_pixel_belongs_to_one_thing_or_to_the_ground(item_index: int) -> None:
    source = MovingShapes(12, 8, seed=1)
    first = source.read(item_index, 0)
    for position in range(8):
        picture = source.read(item_index, position)
        assert picture.image.shape == (3, *SIZE)
        assert torch.equal(picture.masks.sum(dim=0), torch.ones(SIZE, dtype=torch.int64))
        assert picture.category_ids == first.category_ids
    assert [source.vocabulary[row] for row in first.category_ids[-2:]] == list(STUFF)
    assert set(first.category_ids[:-2]) <= set(range(len(THINGS)))


def test_shapes_move_and_stay_in_the_picture() -> None:
    source = MovingShapes(6, 60, seed=3)
    for item_index in range(6):
        front = len(source.read(item_index, 0).category_ids) - 3  # nothing hides the last shape
        sizes, places = [], []
        for position in range(0, 60, 6):
            rows, columns = torch.nonzero(source.read(item_index, position).masks[front], as_tuple=True)
            sizes.append(len(rows))
            places.append((float(rows.float().mean()), float(columns.float().mean())))
        assert min(sizes) > 0.8 * max(sizes)
        assert np.ptp(np.array(places), axis=0).max() > 5


def test_texts_name_what_there_is_one_of() -> None:
    for item_index in range(12):
        picture = MovingShapes(12, 1, seed=1).read(item_index, 0)
        for row, text in zip(picture.category_ids, picture.texts, strict=True):
            is_alone = picture.category_ids.count(row) == 1
            assert text == (f"the {(*THINGS, *STUFF)[row]}" if is_alone else "")
