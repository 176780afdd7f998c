import pytest
import torch

from univs.inference.quality import consistency, stability


def test_stability_counts_confident_against_doubtful_pixels() -> None:
    logits = torch.tensor([[2.0, 2.0, 0.0, -2.0], [-3.0, -3.0, -3.0, -3.0]])
    assert stability(logits).tolist() == pytest.approx([2 / 3, 0.0])


def test_consistency_is_one_for_the_same_look_and_minus_one_for_the_opposite() -> None:
    look = torch.tensor([1.0, 2.0, -1.0])
    assert consistency([look, look], look[None]) == pytest.approx(1.0)
    assert consistency([look, look], -look[None]) == pytest.approx(-1.0)


def test_frames_without_the_object_do_not_count() -> None:
    look, blank = torch.tensor([1.0, 0.0]), torch.zeros(2)
    assert consistency([look, blank, blank], look[None]) == pytest.approx(1.0)
    assert consistency([blank], look[None]) == 1.0
    assert consistency([], look[None]) == 1.0


def test_the_recent_past_counts_more() -> None:
    then, now = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert consistency([then, now], now[None]) > 0.9
    assert consistency([now, then], now[None]) < 0.1
