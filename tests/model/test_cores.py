"""How threads are shared out between two frames."""

from collections.abc import Iterator

import pytest
import torch

from univs.cores import keep_freed_memory, share_cores


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("given", "each", "is_shared"), [(1, 1, False), (2, 1, True), (3, 1, True), (8, 4, True)])
def test_each_of_two_frames_gets_half_of_the_threads(given: int, each: int, *, is_shared: bool) -> None:
    assert share_cores(given) is is_shared
    assert torch.get_num_threads() == each


def test_threads_that_nobody_chose_are_the_cores_however_often_one_asks() -> None:
    share_cores(0)
    once = torch.get_num_threads()
    share_cores(0)
    assert torch.get_num_threads() == once


def test_keeping_freed_memory_can_be_asked_for_twice() -> None:
    keep_freed_memory()
    keep_freed_memory()
