from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from univs_service.cli.prompt_options import PromptSyntaxError, read_prompts
from univs_service.messages import PromptIn


def read(**options: list[str]) -> list[PromptIn]:
    return read_prompts(*(options.get(kind, []) for kind in ("points", "boxes", "masks", "texts")))


def test_object_and_frame_may_be_left_out() -> None:
    (prompt,) = read(boxes=["10,20,200,180.5"])

    assert (prompt.object_id, prompt.frame_index, prompt.box) == (1, 0, (10, 20, 200, 180.5))


def test_clicks_of_one_object_and_frame_count_together() -> None:
    first, second = read(points=["2:120,80", "2:90,81,0", "2:5,6@7"])

    assert first.points == [(120, 80, 1), (90, 81, 0)]
    assert (second.points, second.frame_index) == ([(5, 6, 1)], 7)


def test_mask_is_read_from_its_file(tmp_path: Path) -> None:
    Image.fromarray(np.eye(5, 7, dtype=np.uint8) * 255).save(tmp_path / "cat.png")

    (prompt,) = read(masks=[f"3:{tmp_path}/cat.png@25"])

    assert prompt.mask is not None
    assert (prompt.mask.size, prompt.object_id, prompt.frame_index) == ((5, 7), 3, 25)


def test_words_keep_their_spaces_and_colons() -> None:
    (prompt,) = read(texts=["4:a bear: the brown one"])

    assert (prompt.text, prompt.object_id) == ("a bear: the brown one", 4)


def test_prompts_come_in_the_order_of_their_frames() -> None:
    assert [prompt.frame_index for prompt in read(points=["1:0,0@9"], boxes=["2:0,0,1,1@3"])] == [3, 9]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"points": ["1:5"]}, "--point takes x,y"),
        ({"points": ["1:5,5,2"]}, "--point takes x,y"),
        ({"points": ["1:5,y"]}, "--point takes x,y"),
        ({"points": ["0:5,5"]}, "objects from 1"),
        ({"points": [""]}, "for example 2:120,80"),
        ({"boxes": ["1:1,2,3"]}, "--box takes x0,y0,x1,y1"),
        ({"boxes": ["1:9,2,3,4"]}, "x0 < x1"),
        ({"masks": ["1:nowhere.png"]}, "cannot read 'nowhere.png'"),
        ({"boxes": ["1,2,3,4", "5,6,7,8"]}, "two prompts in frame 0.*different numbers"),
    ],
)
def test_mistake_says_what_is_expected(options: dict[str, list[str]], says: str) -> None:
    with pytest.raises(PromptSyntaxError, match=says):
        read(**options)
