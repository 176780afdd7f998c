import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from univs.inference.framing import Framing

SIDES = st.integers(1, 700)


@given(SIDES, SIDES, st.integers(32, 400))
def test_padded_size_is_the_next_multiple_of_32_of_the_resized_one(height: int, width: int, short: int) -> None:
    framing = Framing.fit((height, width), short, long_side_max_px=max(short, 900))
    for resized, padded in zip(framing.resized, framing.padded, strict=True):
        assert padded % 32 == 0
        assert 0 <= padded - resized < 32


def test_short_side_is_as_asked_unless_the_long_side_would_be_too_long() -> None:
    assert Framing.fit((360, 640), 384, 1333).resized == (384, 683)
    assert Framing.fit((100, 1000), 384, 1000).resized == (100, 1000)


@pytest.mark.parametrize("frame", [(37, 53), (96, 128), (200, 90)])
def test_enlarged_logits_have_the_size_of_the_frame_and_its_content(frame: tuple[int, int]) -> None:
    framing = Framing.fit(frame, 64, 400)
    logits = torch.full((2, framing.padded[0] // 4, framing.padded[1] // 4), -1.0)
    logits[1] = 1.0
    enlarged = framing.enlarge(logits)
    assert enlarged.shape == (2, *frame)
    assert bool((enlarged[0] < 0).all())
    assert bool((enlarged[1] > 0).all())


def test_a_frame_of_the_right_size_is_not_touched() -> None:
    framing = Framing.fit((64, 96), 64, 400)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    assert framing.shrink(images) is images
