import torch
from hypothesis import given
from hypothesis import strategies as st

from univs.inference.reach import within_boxes, within_reach
from univs.prompt_encoder.regions import Canvas
from univs.types import BoxPrompt, PointPrompt, ScribblePrompt

SOON = 1 / 30
CANVAS = Canvas(content_px=(96, 150), padded_px=(96, 160), grid=(12, 20))
BOX = BoxPrompt(1, 0, (0.2, 0.5, 0.6, 1.0))


def square(top: int, left: int, side: int) -> torch.Tensor:
    prior = torch.zeros(24, 40)
    prior[top : top + side, left : left + side] = 1
    return prior


def test_an_object_that_was_not_seen_may_be_anywhere() -> None:
    assert within_reach(torch.zeros(24, 40), (48, 80), 0.25, 2, SOON) is None
    assert within_reach(torch.full((24, 40), 0.1), (48, 80), 0.25, 2, SOON) is None


def test_reach_is_a_share_of_the_size_plus_a_margin() -> None:
    near = within_reach(square(8, 16, 8), (48, 80), 0.25, 2, SOON)  # 8 * 0.25 + 2 = 4 cells, each of 2 x 2 pixels
    assert near is not None
    expected = torch.zeros(48, 80, dtype=torch.bool)
    expected[2 * (8 - 4) : 2 * (16 + 4), 2 * (16 - 4) : 2 * (24 + 4)] = True
    assert torch.equal(near, expected)


def test_reach_grows_with_the_time_between_frames() -> None:
    found = [within_reach(square(8, 16, 8), (48, 80), 0.1, 1, seconds) for seconds in (0, 1 / 24, 3 / 24, 1000)]
    areas = [int(near.sum()) for near in found if near is not None]
    assert areas[:3] == [4 * (8 + 2 * 2) ** 2, 4 * (8 + 2 * 2) ** 2, 4 * (8 + 2 * 6) ** 2]
    assert areas[3] == 48 * 80, "after a long gap it may be anywhere"


@given(st.integers(0, 18), st.integers(0, 34), st.integers(1, 6), st.floats(0, 1), st.integers(0, 4))
def test_the_object_itself_is_always_within_reach_and_more_reach_never_takes_away(
    top: int, left: int, side: int, reach: float, margin: int
) -> None:
    prior = square(top, left, side)
    near, farther = (within_reach(prior, (24, 40), reach, margin + more, SOON) for more in (0, 1))
    assert near is not None
    assert farther is not None
    assert bool((near | ~(prior > 0)).all())
    assert bool((farther | ~near).all())


def test_an_object_lies_in_the_box_drawn_around_it_and_a_little_beyond() -> None:
    near = within_boxes([BOX, PointPrompt(1, 0, ((0.9, 0.1),), (False,))], CANVAS, (24, 40))
    assert near is not None
    expected = torch.zeros(24, 40, dtype=torch.bool)
    expected[10:24, 6:24] = True  # x: 0.16 to 0.64 of 37.5 columns, y: 0.45 to 1.05 of 24 rows
    assert torch.equal(near, expected)


def test_what_may_point_outside_the_box_lifts_the_limit() -> None:
    click = PointPrompt(1, 0, ((0.9, 0.1),), (True,))
    scribble = ScribblePrompt(1, 0, ((0.1, 0.1), (0.8, 0.4)))
    assert within_boxes([click], CANVAS, (24, 40)) is None
    assert within_boxes([BOX, click], CANVAS, (24, 40)) is None
    assert within_boxes([BOX, scribble], CANVAS, (24, 40)) is None
