"""An object that was shown in one piece stays one."""

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from univs.inference.cohesion import main_body
from univs.inference.framing import Framing
from univs.inference.judge_alone import Judgement, judge_alone
from univs.inference.options import paper
from univs.prompt_encoder.regions import Canvas
from univs.types import BoxPrompt, VisualPrompt

SIDE = 128
FRAMING = Framing.fit((SIDE, SIDE), SIDE, SIDE)
CANVAS = Canvas(content_px=(SIDE, SIDE), padded_px=(SIDE, SIDE), grid=(SIDE // 8, SIDE // 8))
OPTIONS = replace(paper(SIDE), presence_threshold=0.0, consistency_threshold=-1.0, reach=None)
EVERYWHERE = BoxPrompt(1, 0, (0.0, 0.0, 1.0, 1.0))


def pieces(*boxes: tuple[int, int, int, int]) -> Tensor:
    """Rectangles top, left, bottom, right on a map of 32 x 32."""
    mask = torch.zeros(SIDE // 4, SIDE // 4, dtype=torch.bool)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


LARGE, NEAR, FAR = (4, 4, 16, 12), (4, 13, 16, 15), (20, 24, 26, 30)


def judged(mask: Tensor, *, is_whole: bool, prompts: tuple[VisualPrompt, ...] = ()) -> Judgement:
    logits = torch.where(mask, 8.0, -8.0)
    nowhere = torch.zeros(CANVAS.grid)
    embedding = torch.ones(1, 4)
    return judge_alone(logits, embedding, None, [], nowhere, 0.04, is_whole, prompts, FRAMING, CANVAS, OPTIONS)


def test_pieces_far_from_the_largest_are_not_its_body() -> None:
    mask = pieces(LARGE, NEAR, FAR)
    body = main_body(mask, 0.25)
    assert body is not None
    assert torch.equal(mask & body, pieces(LARGE, NEAR))


def test_a_mask_of_one_body_or_of_nothing_has_no_other() -> None:
    assert main_body(pieces(LARGE, NEAR), 0.25) is None
    assert main_body(pieces(), 0.25) is None


@given(
    st.lists(st.tuples(st.integers(0, 27), st.integers(0, 27), st.integers(1, 5), st.integers(1, 5)), max_size=6),
    st.floats(0.0, 1.0),
)
def test_a_body_is_made_of_whole_pieces_and_holds_most_of_any(
    boxes: list[tuple[int, int, int, int]], gap: float
) -> None:
    mask = pieces(*((top, left, top + height, left + width) for top, left, height, width in boxes))
    body = main_body(mask, gap)
    if body is None:
        return
    kept, left_out = mask & body, mask & ~body
    assert kept.any()
    assert left_out.any()
    grown = torch.nn.functional.max_pool2d(kept[None, None].float(), 3, stride=1, padding=1)[0, 0] > 0
    assert not bool((grown & left_out).any()), "a piece was cut in two"
    again = main_body(left_out, gap)
    rest = left_out if again is None else left_out & again
    assert gap > 0 or int(rest.sum()) <= int(kept.sum())


def test_what_parts_from_an_object_of_one_body_is_left_out() -> None:
    judgement = judged(pieces(LARGE, FAR), is_whole=True)
    assert torch.equal(judgement.coarse, pieces(LARGE))
    assert judgement.is_whole


def test_an_object_that_was_never_known_as_one_body_keeps_its_pieces() -> None:
    judgement = judged(pieces(LARGE, FAR), is_whole=False)
    assert torch.equal(judgement.coarse, pieces(LARGE, FAR))
    assert not judgement.is_whole


def test_a_prompt_decides_whether_an_object_is_one_body_and_loses_nothing() -> None:
    together = judged(pieces(LARGE, NEAR), is_whole=False, prompts=(EVERYWHERE,))
    apart = judged(pieces(LARGE, FAR), is_whole=True, prompts=(EVERYWHERE,))
    assert together.is_whole
    assert not apart.is_whole
    assert torch.equal(apart.coarse, pieces(LARGE, FAR))
