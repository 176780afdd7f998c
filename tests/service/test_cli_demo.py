from pathlib import Path

import av
import numpy as np
import pytest
from rich.console import Console

from univs_service.cli.demo import Comparison, intersection_over_union
from univs_service.cli.demo_clip import CUP, HEIGHT, NUM_FRAMES, SHUTTLE, WIDTH, compose, prompts_for, write_clip
from univs_service.exports import encode_mask
from univs_service.messages import FrameResultEvent, ObjectResult


def test_clip_shows_what_the_truth_says(tmp_path: Path) -> None:
    truth = write_clip(tmp_path / "clip.mp4")

    with av.open(str(tmp_path / "clip.mp4")) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == len(truth) == NUM_FRAMES
    assert decoded[0].shape == (HEIGHT, WIDTH, 3)
    error = np.abs(decoded[20].astype(float) - truth[20].image.astype(float)).mean()
    assert error < 6, "the truth belongs to the pictures of the file"


def test_objects_cross_and_never_share_a_pixel() -> None:
    frames = list(compose())

    assert all(not (frame.masks[CUP] & frame.masks[SHUTTLE]).any() for frame in frames)
    areas = [int(frame.masks[SHUTTLE].sum()) for frame in frames]
    assert min(areas) < 0.6 * areas[0], "the cup hides part of the shuttle"
    assert min(areas) > 0


def test_prompts_lie_on_their_objects() -> None:
    first = next(compose())

    box, click = prompts_for(first)

    assert box.box is not None
    assert click.points is not None
    x, y, _ = click.points[0]
    assert first.masks[SHUTTLE][int(y), int(x)]
    x0, y0, x1, y1 = (int(coordinate) for coordinate in box.box)
    assert first.masks[CUP][y0:y1, x0:x1].sum() == first.masks[CUP].sum()


def test_comparison_of_the_truth_with_itself_is_one() -> None:
    truth = [frame.masks for frame in compose()]
    comparison = Comparison(truth)

    for index, masks in enumerate(truth[:5]):
        comparison.add(result_of(index, masks[CUP]))

    assert comparison.ious[CUP] == [1.0] * 5
    assert comparison.ious[SHUTTLE] == [0.0] * 5, "no answer counts as an empty mask"
    with (console := Console(width=120)).capture() as capture:
        comparison.print_to(console)
    assert "1.000" in capture.get()


def test_iou_counts_pixels() -> None:
    left, right = np.zeros((4, 4), dtype=np.bool_), np.zeros((4, 4), dtype=np.bool_)
    left[:2], right[1:3] = True, True

    assert intersection_over_union(left, right) == pytest.approx(4 / 12)
    assert intersection_over_union(left & False, right & False) == 1.0


def result_of(index: int, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> FrameResultEvent:
    answer = ObjectResult(
        object_id=CUP,
        score=1.0,
        presence=1.0,
        state="visible",
        area=int(mask.sum()),
        area_fraction=float(mask.mean()),
        bbox=(0, 0, WIDTH, HEIGHT),
        revision=0,
        mask=encode_mask(mask),
    )
    return FrameResultEvent(
        seq=index + 1,
        run_id=1,
        frame_index=index,
        pts=index,
        time_base="1/12",
        size=(HEIGHT, WIDTH),
        weights="nano",
        objects=[answer],
    )
