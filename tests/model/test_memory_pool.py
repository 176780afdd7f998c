import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from univs.errors import SnapshotError, UnknownObjectError
from univs.memory_pool import MemoryPool, PoolShape
from univs.prompt_encoder.tokens import PADDING, ObjectTokens, VisualTokens

SHAPE = PoolShape(num_frames=3, num_foreground=4, num_background=2, channels=8, grid_size=(6, 5))


def tokens(frame_index: int, seed: int = 0) -> ObjectTokens:
    generator = torch.Generator().manual_seed(100 * seed + frame_index)
    index = torch.tensor([frame_index])

    def side(number: int) -> VisualTokens:
        features = torch.randn(1, number, 8, generator=generator).half().float()
        cells = torch.randint(-1, 30, (1, number), generator=generator)
        return VisualTokens(features, cells, index, index, (6, 5))

    return ObjectTokens(side(4), side(2))


def frames(pool: MemoryPool, object_id: int) -> list[int]:
    return [int(index) for index in pool.read([object_id]).foreground.frame_indices[0]]


def test_what_is_written_is_read() -> None:
    pool = MemoryPool(SHAPE)
    first, later = tokens(7), tokens(9)
    pool.write_first(5, first)
    pool.write(5, later)
    recalled = pool.read([5])
    for slot, written in ((0, first), (1, later)):
        for side, own in ((recalled.foreground, written.foreground), (recalled.background, written.background)):
            assert torch.equal(side.features[0, slot], own.features[0])
            assert torch.equal(side.cells[0, slot], own.cells[0])
    assert recalled.foreground.is_padding[0, 2:].all()
    assert frames(pool, 5) == [7, 9, -1, -1]


@given(last=st.integers(0, 30))
@settings(deadline=None, max_examples=20)
def test_the_first_appearance_and_the_last_frames_stay_oldest_first(last: int) -> None:
    pool = MemoryPool(SHAPE)
    pool.write_first(1, tokens(0))
    for index in range(1, last + 1):
        pool.write(1, tokens(index))
    newest = list(range(max(1, last - 2), last + 1))
    assert frames(pool, 1) == [0, *newest, *[-1] * (3 - len(newest))]


def test_the_newest_frame_that_shows_an_object_is_recalled() -> None:
    pool = MemoryPool(SHAPE)
    pool.write_first(1, tokens(3))
    assert int(pool.newest(1).foreground.frame_indices) == 3  # type: ignore[union-attr]  # it was written
    shown, blank = tokens(5), tokens(6)
    blank.foreground.cells.fill_(PADDING)
    pool.write(1, shown)
    pool.write(1, blank)
    found = pool.newest(1)
    assert found is not None
    for side, written in ((found.foreground, shown.foreground), (found.background, shown.background)):
        assert torch.equal(side.features, written.features.half())
        assert torch.equal(side.cells, written.cells)
        assert int(side.frame_indices) == 5
    pool.write_first(2, blank)
    assert pool.newest(2) is None
    with pytest.raises(UnknownObjectError):
        pool.newest(7)


def test_a_refinement_replaces_the_first_appearance_and_nothing_else() -> None:
    pool = MemoryPool(SHAPE)
    pool.write_first(1, tokens(0))
    pool.write(1, tokens(1))
    pool.write_first(1, tokens(4))
    assert frames(pool, 1) == [4, 1, -1, -1]


def test_a_frame_written_again_is_replaced() -> None:
    pool = MemoryPool(SHAPE)
    pool.write_first(1, tokens(0))
    pool.write(1, tokens(1))
    pool.write(1, tokens(2))
    pool.write(1, tokens(1, seed=3))
    assert frames(pool, 1) == [0, 1, 2, -1]
    assert torch.equal(pool.read([1]).foreground.features[0, 1], tokens(1, seed=3).foreground.features[0])


def test_forgetting_one_object_leaves_the_others() -> None:
    pool = MemoryPool(SHAPE)
    for object_id in (3, 1, 2):
        pool.write_first(object_id, tokens(0, seed=object_id))
    before = pool.read([3, 2]).foreground.features
    pool.forget(1)
    assert pool.object_ids == (3, 2)
    assert torch.equal(pool.read([3, 2]).foreground.features, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_bytes_follow_the_formula_however_long_the_video_is(dtype: torch.dtype) -> None:
    pool = MemoryPool(SHAPE, dtype)
    for object_id in (1, 2):
        pool.write_first(object_id, tokens(0))
        for index in range(1, 50):
            pool.write(object_id, tokens(index))
    assert pool.num_bytes == 2 * SHAPE.bytes_per_object(dtype)
    assert SHAPE.bytes_per_object(dtype) == 4 * (6 * (8 * dtype.itemsize + 4) + 16)


def test_a_restored_pool_is_the_same_pool() -> None:
    pool = MemoryPool(SHAPE)
    for object_id in (3, 1):
        pool.write_first(object_id, tokens(0, seed=object_id))
        for index in range(1, 6):
            pool.write(object_id, tokens(index, seed=object_id))
    blob = pool.to_bytes()
    restored = MemoryPool.from_bytes(blob)
    assert restored.to_bytes() == blob
    assert restored.object_ids == pool.object_ids
    for twin in (pool, restored):
        twin.write(3, tokens(6, seed=3))
    assert restored.to_bytes() == pool.to_bytes()
    assert len(blob) - pool.num_bytes < 2048


def test_an_empty_pool_can_be_saved_and_read() -> None:
    pool = MemoryPool.from_bytes(MemoryPool(SHAPE).to_bytes())
    assert pool.object_ids == ()
    assert pool.num_bytes == 0
    assert pool.read([]).foreground.features.shape == (0, 4, 4, 8)


def test_an_unknown_object_is_named() -> None:
    pool = MemoryPool(SHAPE)
    pool.write_first(1, tokens(0))
    for use in (lambda: pool.read([2]), lambda: pool.write(2, tokens(1)), lambda: pool.forget(2)):
        with pytest.raises(UnknownObjectError, match=r"one of the objects \[1\], got 2"):
            use()


@pytest.mark.parametrize("blob", [b"", b"not a pool", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_other_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(SnapshotError, match="start from its first frame"):
        MemoryPool.from_bytes(blob)


def test_damaged_bytes_are_refused() -> None:
    pool = MemoryPool(SHAPE)
    pool.write_first(1, tokens(0))
    with pytest.raises(SnapshotError):
        MemoryPool.from_bytes(pool.to_bytes()[:-7])
