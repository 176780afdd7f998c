from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from univs_service.client import box, decode_mask, mask, point, scribble, spread, stuff, text


def test_point_takes_clicks_on_and_off_the_object() -> None:
    prompt = point(3, 10, 20, (11, 21), off=[(0, 0)], frame_index=4)

    assert prompt.points == [(10, 20, 1), (11, 21, 1), (0, 0, 0)]
    assert (prompt.object_id, prompt.frame_index) == (3, 4)


def test_every_prompt_has_an_id_of_its_own() -> None:
    prompts = [box(1, 0, 0, 5, 5), text(2, "the brown bear"), scribble(3, (0, 0), (4, 4))]

    assert len({prompt.prompt_id for prompt in prompts}) == 3


def test_box_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match="x0 < x1"):
        box(1, 9, 0, 5, 5)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA"])
def test_mask_is_read_from_every_kind_of_png(tmp_path: Path, mode: str) -> None:
    inside = np.zeros((6, 9), dtype=np.bool_)
    inside[1:4, 2:7] = True
    picture = Image.fromarray(inside.astype(np.uint8) * 255)
    if mode == "P":
        picture = Image.fromarray(inside.astype(np.uint8))
        picture.putpalette([0, 0, 0, 128, 0, 0])
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / "mask.png")

    prompt = mask(1, tmp_path / "mask.png")

    assert prompt.mask is not None
    assert np.array_equal(decode_mask(prompt.mask), inside)


def test_a_prompt_may_spread_backward_and_name_stuff() -> None:
    prompt = stuff(spread(box(1, 2, 3, 9, 9, frame_index=4), "both"), "sky")
    assert (prompt.frame_index, prompt.direction, prompt.stuff) == (4, "both", "sky")
    assert prompt.prompt_id
