import math

import pytest

from univs.evaluation.class_tracking import AnnotatedVideo, Detection, summarize_classes, tally_classes

from .shapes import rectangle

_HERE, _THERE = rectangle(0, 0, 6, 6), rectangle(10, 10, 6, 6)


def test_classes_are_averaged_in_their_groups() -> None:
    """Class 1 (common) is followed perfectly. Class 2 (uncommon) has one object, found in one of two frames.

    There, at every threshold: DetA 1/2, AssA 1 / (2 + 1 - 1) = 1/2, HOTA 1/2. Class 3 is not annotated.
    """
    frame = (Detection(1, 1, _HERE), Detection(2, 2, _THERE))
    truth = AnnotatedVideo((frame, frame))
    predicted = [(Detection(5, 1, _HERE), Detection(6, 2, _THERE)), (Detection(5, 1, _HERE),)]
    report = summarize_classes(tally_classes(predicted, truth, (1, 2, 3)), frozenset({1}))
    assert (report.common.hota, report.uncommon.hota) == pytest.approx((1.0, 0.5))
    assert (report.all.hota, report.all.detection, report.all.association) == pytest.approx((0.75, 0.75, 0.75))
    assert sorted(report.classes) == [1, 2]


@pytest.mark.parametrize(
    ("category_id", "is_exemplar_guided", "num_alarms"),
    [
        (1, False, 1),  # annotated in the frame, completely: the second prediction is wrong
        (2, False, 1),  # verified to be absent
        (3, False, 0),  # annotated with gaps: nobody can say
        (4, False, 0),  # not annotated at all
        (4, True, 1),  # with exemplars, every prediction counts
    ],
)
def test_predictions_count_as_wrong_only_where_that_is_known(
    category_id: int, is_exemplar_guided: bool, num_alarms: int
) -> None:
    frame = (Detection(1, 1, _HERE), Detection(2, 3, _HERE))
    truth = AnnotatedVideo((frame,), frozenset({2}), frozenset({3}))
    alarm = Detection(9, category_id, _THERE)
    (total,) = tally_classes([(alarm,)], truth, (category_id,), is_exemplar_guided).values()
    assert total.false_positives[0] == num_alarms


def test_prediction_that_meets_an_object_of_an_incomplete_class_counts() -> None:
    truth = AnnotatedVideo(((Detection(2, 3, _HERE),),), incomplete_categories=frozenset({3}))
    (total,) = tally_classes([(Detection(9, 3, _HERE), Detection(8, 3, _THERE))], truth, (3,)).values()
    assert (total.true_positives[0], total.false_positives[0]) == (1, 0)


def test_group_without_annotated_classes_has_no_figure() -> None:
    report = summarize_classes(tally_classes([()], AnnotatedVideo(((),)), (1,)), frozenset({1}))
    assert math.isnan(report.all.hota)
