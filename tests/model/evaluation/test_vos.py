import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from univs.evaluation.vos import (
    Mask,
    boundary,
    boundary_accuracy,
    dilate,
    region_similarity,
    score_clip,
    score_frame,
    scored_frames,
)

# Published masks and figures lie beside the checkout where they are at hand; they are no part of the project.
_SHARED = Path(__file__).parents[4] / "shared" / "data"
_METHODS = ("osvos", "siammask")


def _square(top: int, left: int, side: int) -> Mask:
    mask = np.zeros((48, 64), dtype=np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def test_equal_masks_score_one() -> None:
    score = score_frame(_square(10, 10, 20), _square(10, 10, 20))
    assert (score.region, score.boundary) == (1.0, 1.0)


def test_region_similarity_is_intersection_over_union() -> None:
    assert region_similarity(_square(0, 0, 10), _square(0, 5, 10)) == pytest.approx(50 / 150)


def test_two_empty_masks_agree_and_one_empty_mask_scores_zero() -> None:
    empty, square = np.zeros((48, 64), dtype=np.bool_), _square(4, 4, 9)
    assert score_frame(empty, empty).region == score_frame(empty, empty).boundary == 1.0
    assert score_frame(empty, square).region == score_frame(square, empty).boundary == 0.0


def test_boundary_accuracy_forgives_the_tolerance_and_no_more() -> None:
    truth = _square(10, 10, 20)
    assert boundary_accuracy(_square(10, 11, 20), truth) == 1.0  # 0.008 of 80 pixels, rounded up, is one pixel
    assert boundary_accuracy(_square(10, 14, 20), truth) < 0.7


def test_boundary_is_one_pixel_wide() -> None:
    marked = boundary(_square(10, 10, 20))
    assert int(marked.sum()) == 4 * 20  # a ring around a square, shifted up and left


def test_dilation_marks_exactly_the_pixels_within_the_radius() -> None:
    mask = np.zeros((30, 40), dtype=np.bool_)
    mask[[0, 12, 29], [3, 20, 39]] = True
    rows, columns = np.indices(mask.shape)
    expected = np.zeros_like(mask)
    for row, column in np.argwhere(mask):
        expected |= (rows - row) ** 2 + (columns - column) ** 2 <= 25
    assert np.array_equal(dilate(mask, 5), expected)


def test_masks_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        score_frame(np.zeros((4, 4), dtype=np.bool_), np.zeros((4, 5), dtype=np.bool_))


def test_clip_without_scored_frames_is_refused() -> None:
    assert list(scored_frames(4)) == [1, 2]
    assert list(scored_frames(1)) == []
    with pytest.raises(ValueError, match="no frame"):
        score_clip("short", [])


@pytest.mark.skipif(not _SHARED.is_dir(), reason="published masks do not lie beside this checkout")
@pytest.mark.parametrize("method", _METHODS)
def test_published_figures_are_reproduced_to_their_rounding(method: str) -> None:
    published = json.loads((_SHARED / "metrics" / "davis2016_published.json").read_text(encoding="utf-8"))
    for clip, figures in published["per_frame"][method].items():
        paths = sorted((_SHARED / "davis2016" / "Annotations" / "480p" / clip).glob("*.png"))
        predictions = _SHARED / "metrics" / f"davis2016_{method}" / clip
        scored = list(scored_frames(len(paths)))
        assert len(scored) == len(figures["J"])
        for position in scored[::7]:
            truth = np.array(Image.open(paths[position])) > 0
            predicted = np.array(Image.open(predictions / paths[position].name)) > 0
            score = score_frame(predicted, truth)
            assert score.region == pytest.approx(figures["J"][position - 1], abs=0.001)
            assert score.boundary == pytest.approx(figures["F"][position - 1], abs=0.001)
