"""All six tasks on the page, in a real browser: what is asked for, what comes back, what is shown of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from pycocotools import mask as coco_mask
from tests.end_to_end.test_studio import (
    FRAME_SIZE,
    WAIT_MS,
    browser,  # noqa: F401 - fixtures
    choose_video,
    go_to_frame,
    mask_pixels,
    open_page,  # noqa: F401
    point_at,
    run_to_the_end,
)

# pycocotools' own compiled code is older than numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

NUM_FRAMES = 3


def ask(page: Page, task: str, names: str = "person, dog", stuff: str = "sky") -> None:
    page.select_option("#task", task)
    if task in {"vis", "vss", "vps"}:
        page.fill("#names", names)
        page.fill("#stuff", stuff)


@pytest.mark.parametrize(("task", "answer"), [("vis", None), ("vss", "semantic"), ("vps", "panoptic")])
def test_categories_are_found_and_listed_with_their_scores(
    open_page: Any,  # noqa: F811
    make_clip: Any,
    task: str,
    answer: str | None,
) -> None:
    page = open_page()
    choose_video(page, make_clip(NUM_FRAMES))
    ask(page, task)
    results = run_to_the_end(page, NUM_FRAMES)
    assert answer is None or all(result.get(answer) is not None for result in results)
    last = results[-1]
    regions = last[answer]["segments_info"] if answer else [one for one in last["objects"] if "category_id" in one]
    regions = sorted((one for one in regions if one["area"]), key=lambda one: -one["area"])
    go_to_frame(page, last)
    rows = page.locator("#found-list li")
    expect(rows).to_have_count(len(regions), timeout=WAIT_MS)
    for row, region in zip(rows.all(), regions, strict=True):
        expect(row).to_contain_text(region["label"])
        expect(row).to_contain_text(f"{region['score']:.2f}")
    expect(page.locator("#found-doubt")).to_contain_text("random")  # of untrained weights
    is_painted = mask_pixels(page)[:, :, 3] > 0
    expected = np.zeros(FRAME_SIZE, dtype=np.bool_)
    for region in regions:
        expected |= coco_mask.decode(region["mask"]).astype(bool)
    assert np.array_equal(is_painted, expected)
    assert page.locator("#object-list li").count() == 1  # what was found is none of the user's own objects


def test_a_vocabulary_can_be_chosen_by_name(open_page: Any, make_clip: Any) -> None:  # noqa: F811
    page = open_page()
    choose_video(page, make_clip(1))
    ask(page, "vss")
    names = page.locator("#vocabulary option").all_inner_texts()
    assert {"ade20k", "coco", "coco_panoptic", "lvis", "ovis", "vipseg", "ytvis21"} <= set(names)
    page.select_option("#vocabulary", "ovis")
    expect(page.locator("#names")).to_be_hidden()
    (result,) = run_to_the_end(page, 1)
    assert all(1 <= segment["category_id"] <= 25 for segment in result["semantic"]["segments_info"])


def test_names_and_task_outlive_a_reload(open_page: Any, make_clip: Any) -> None:  # noqa: F811
    page = open_page()
    choose_video(page, make_clip(1))
    ask(page, "vps", names="a red car")
    page.reload()
    expect(page.locator("#task")).to_have_value("vps", timeout=WAIT_MS)
    expect(page.locator("#names")).to_have_value("a red car")


def test_what_is_missing_is_said(open_page: Any, make_clip: Any) -> None:  # noqa: F811
    page = open_page()
    choose_video(page, make_clip(1))
    ask(page, "vis", names="", stuff="")
    page.click("#start")
    expect(page.locator(".problem")).to_contain_text("Name what to look for")


def test_words_that_the_weights_cannot_read_cannot_be_asked_for(open_page: Any, make_clip: Any) -> None:  # noqa: F811
    page = open_page()
    choose_video(page, make_clip(1))
    expect(page.locator('#task option[value="refvos"]')).to_be_disabled()
    expect(page.locator("#task-note")).to_contain_text("were not trained for this")  # of random weights: nothing was


def test_a_still_is_a_video_of_one_frame(open_page: Any, tmp_path: Path) -> None:  # noqa: F811
    pixels = np.full((*FRAME_SIZE, 3), 40, dtype=np.uint8)
    pixels[16:32, 4:20] = (220, 180, 40)
    Image.fromarray(pixels).save(tmp_path / "still.png")
    page = open_page()
    choose_video(page, tmp_path / "still.png")
    expect(page.locator("#facts")).to_contain_text("a picture")
    page.select_option("#task", "pvos")
    point_at(page, 12, 24)
    (result,) = run_to_the_end(page, 1)
    assert [each["object_id"] for each in result["objects"]] == [1]
