import math

import numpy as np
import pytest
from hotcoco.semantic import SemanticEval
from hypothesis import given, settings
from hypothesis import strategies as st

from univs.errors import InputError
from univs.evaluation.semantic import confusion, summarize

from .shapes import labels, random_labels

_SEEDS = st.integers(0, 2**32 - 1)


def test_figures_of_a_case_worked_by_hand() -> None:
    """Class 0 has 4 pixels, 3 found, 2 more claimed: IoU 3/6. Class 1 has 2, 1 found, 1 more claimed: 1/3.

    Class 2 is predicted nowhere and annotated on 1 pixel: 0. One pixel (9) is void. Class 3 does not occur.
    """
    truth = labels("0000 1129")
    predicted = labels("0001 1001")
    report = summarize(confusion(predicted, truth, 4))
    assert report.class_iou[:3] == pytest.approx((3 / 6, 1 / 3, 0.0))
    assert math.isnan(report.class_iou[3])
    assert report.mean_iou == pytest.approx((3 / 6 + 1 / 3) / 3)
    assert report.frequency_weighted_iou == pytest.approx((4 * 3 / 6 + 2 / 3) / 7)
    assert report.pixel_accuracy == pytest.approx(4 / 7)
    assert report.mean_accuracy == pytest.approx((3 / 4 + 1 / 2) / 3)


def test_class_that_is_only_predicted_counts_in_one_mean_and_not_in_the_other() -> None:
    report = summarize(confusion(labels("0001"), labels("0000"), 2))
    assert report.class_iou == pytest.approx((3 / 4, 0.0))
    assert report.mean_iou == pytest.approx(3 / 8)
    assert report.mean_iou_of_annotated_classes == pytest.approx(3 / 4)


def test_predicted_void_misses_the_class_and_is_none_itself() -> None:
    report = summarize(confusion(labels("0055"), labels("0000"), 2))
    assert report.class_iou[0] == pytest.approx(2 / 4)
    assert report.mean_iou == pytest.approx(2 / 4)


@settings(max_examples=30, deadline=None)
@given(_SEEDS)
def test_figures_equal_those_of_hotcoco(seed: int) -> None:
    truth, predicted = random_labels(seed, (12, 15), 6), random_labels(seed + 1, (12, 15), 5)
    truth[truth == 5] = 255
    library = SemanticEval(5, ignore_index=255)
    library.update(truth.astype(np.uint8), predicted.astype(np.uint8))
    expected = library.results()
    report = summarize(confusion(predicted, truth, 5))
    assert report.mean_iou == pytest.approx(expected["mIoU"], abs=1e-9)
    assert report.frequency_weighted_iou == pytest.approx(expected["fwIoU"], abs=1e-9)
    assert report.pixel_accuracy == pytest.approx(expected["aAcc"], abs=1e-9)
    assert report.mean_accuracy == pytest.approx(expected["mAcc"], abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(_SEEDS)
def test_renaming_classes_renames_their_figures(seed: int) -> None:
    truth, predicted = random_labels(seed, (9, 9), 4), random_labels(seed + 1, (9, 9), 4)
    order = np.random.default_rng(seed).permutation(4)
    before = summarize(confusion(predicted, truth, 4))
    after = summarize(confusion(order[predicted], order[truth], 4))
    assert np.array_equal(np.array(after.class_iou)[order], before.class_iou, equal_nan=True)
    assert summarize(confusion(truth, truth, 4)).mean_iou == 1.0


def test_maps_of_different_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="expected a prediction of the annotation's shape"):
        confusion(labels("00"), labels("000"), 1)
