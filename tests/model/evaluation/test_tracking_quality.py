import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from univs.errors import InputError
from univs.evaluation.panoptic import PanopticMap, Segment
from univs.evaluation.tracking_quality import TrackingReport, summarize, tally

from .shapes import labels, random_labels

# Class 0 (cars) is a thing, class 1 (sky) is stuff. Digit 9 is sky, 8 a crowd of cars, others are cars.
_IS_THING = (True, False)


def _row(digits: str) -> PanopticMap:
    segments = tuple(Segment(digit, int(digit == 9), is_crowd=digit == 8) for digit in range(1, 10))
    return PanopticMap(labels(digits), segments)


# Published with the evaluator of STEP as its basic examples: STQ, AQ and SQ of one row of pixels.
@pytest.mark.parametrize(
    ("true_digits", "predicted_digits", "stq", "association", "segmentation"),
    [
        ("11111", "11111", 1.0, 1.0, 1.0),
        ("11111", "11222", 0.72111026, 0.52, 1.0),
        ("11111", "12222", 0.82462113, 0.68, 1.0),
        ("11111", "12345", 0.447213596, 0.2, 1.0),
        ("11111", "12122", 0.72111026, 0.52, 1.0),
        ("11111", "91111", 0.50596443, 0.64, 0.4),
        ("811111", "111111", 1.0, 1.0, 1.0),
        ("811111", "222211", 0.72111026, 0.52, 1.0),
        ("811111", "229111", 0.40824829, 0.4, 5 / 12),
        ("91111", "11111", 0.56568542, 0.8, 0.4),
        ("91111", "22211", 0.42426407, 0.45, 0.4),
        ("91111", "22911", 0.3, 0.3, 0.3),
    ],
)
def test_published_examples_are_reproduced(
    true_digits: str, predicted_digits: str, stq: float, association: float, segmentation: float
) -> None:
    report = summarize(tally(_row(predicted_digits), _row(true_digits), _IS_THING))
    assert report.stq == pytest.approx(stq, abs=1e-7)
    assert report.association == pytest.approx(association, abs=1e-7)
    assert report.segmentation == pytest.approx(segmentation, abs=1e-7)


def test_videos_are_joined_by_their_tubes_and_pixels() -> None:
    """Video one: tube 1 found whole, AQ 1. Video two: tubes 1 and 2 of 2 pixels each, predicted as one of 4 pixels.

    There each tube gives 2/2 * 2/4. AQ is (1 + 1/2 + 1/2) / 3. All pixels are cars: SQ 1.
    """
    first = tally(_row("11"), _row("11"), _IS_THING)
    second = tally(_row("1111"), _row("1122"), _IS_THING)
    report = summarize(first + second)
    assert report.association == pytest.approx(2 / 3)
    assert report.stq == pytest.approx(math.sqrt(2 / 3))


def test_predicted_void_is_one_more_class() -> None:
    """Half of four cars is left void: IoU 2/4 for cars, 0 for void, 1/4 together; AQ 2/4 * 2/4."""
    report = summarize(tally(_row("1100"), _row("1111"), _IS_THING))
    assert report.segmentation == pytest.approx(1 / 4)
    assert report.association == pytest.approx(1 / 2 * 2 / 4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_figures_equal_the_formula_over_masks(seed: int) -> None:
    truth, predicted = _random_video(seed, has_crowd=True), _random_video(seed + 1, has_crowd=False)
    report, expected = summarize(tally(predicted, truth, _IS_THING)), _by_masks(predicted, truth)
    assert report.association == pytest.approx(expected.association, abs=1e-12, nan_ok=True)
    assert report.segmentation == pytest.approx(expected.segmentation, abs=1e-12)
    assert report.stq == pytest.approx(expected.stq, abs=1e-12, nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_perfect_prediction_gives_one(seed: int) -> None:
    truth = _random_video(seed, has_crowd=False)
    assert summarize(tally(truth, truth, _IS_THING)).stq == pytest.approx(1.0)


def test_categories_outside_the_vocabulary_are_refused() -> None:
    with pytest.raises(InputError, match=r"categories 0\.\.0"):
        tally(_row("19"), _row("19"), (True,))


def _random_video(seed: int, has_crowd: bool) -> PanopticMap:
    ids = random_labels(seed, (3, 12, 12), 6)
    return PanopticMap(ids, tuple(Segment(value, value % 2, has_crowd and value == 4) for value in range(1, 6)))


def _by_masks(predicted: PanopticMap, truth: PanopticMap) -> TrackingReport:
    """Follow the paper's formula: masks of tubes and classes, no counting of pairs."""
    in_crowd = np.zeros(truth.ids.shape, dtype=np.bool_)
    for segment in truth.segments:
        in_crowd |= (truth.ids == segment.segment_id) & segment.is_crowd
    terms = []
    for annotation in truth.segments:
        true_mask = truth.ids == annotation.segment_id
        if annotation.category_id != 0 or annotation.is_crowd or not true_mask.any():
            continue
        term = 0.0
        for segment in predicted.segments:
            mask = (predicted.ids == segment.segment_id) & ~in_crowd
            if segment.category_id == 0 and (mask & true_mask).any():
                term += (mask & true_mask).sum() ** 2 / (mask | true_mask).sum()
        terms.append(term / true_mask.sum())
    association = float(np.mean(terms)) if terms else math.nan

    def class_mask(video: PanopticMap, category_id: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        chosen = [segment.segment_id for segment in video.segments if segment.category_id == category_id]
        return np.isin(video.ids, chosen)

    is_annotated = class_mask(truth, 0) | class_mask(truth, 1)
    ious = []
    for category_id in (0, 1):
        mask, true_mask = class_mask(predicted, category_id) & is_annotated, class_mask(truth, category_id)
        if (mask | true_mask).any():
            ious.append(float((mask & true_mask).sum() / (mask | true_mask).sum()))
    if (is_annotated & (predicted.ids == 0)).any():
        ious.append(0.0)
    segmentation = float(np.mean(ious))
    return TrackingReport(math.sqrt(association * segmentation), association, segmentation)
