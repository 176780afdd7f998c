import math

import pytest

from univs.evaluation.seen_unseen import Target, score_targets, summarize

from .shapes import labels


def test_overall_of_a_case_worked_by_hand() -> None:
    """Object 1 (seen) is given in frame 0 and counts in frames 1 and 2: J 1/2 and 1, mean 3/4.

    Object 2 (unseen) is given in frame 1 and counts in frame 2: J 0. Object 3 (unseen) counts in frames 1 and 2: 1.
    """
    truths = (labels("1100 0033"), labels("1122 0033"), labels("1122 0033"))
    predictions = (labels("0000 0000"), labels("1000 0033"), labels("1100 0033"))
    targets = (Target(1, 0, is_seen=True), Target(2, 1, is_seen=False), Target(3, 0, is_seen=False))
    scores = score_targets(list(zip(predictions, truths, strict=True)), targets)
    assert [score.num_frames for score in scores] == [2, 1, 2]
    report = summarize(scores)
    assert report.region_seen == pytest.approx(3 / 4)
    assert report.region_unseen == pytest.approx((0 + 1) / 2)
    four = (report.region_seen, report.region_unseen, report.boundary_seen, report.boundary_unseen)
    assert report.overall == pytest.approx(sum(four) / 4)


def test_given_masks_do_not_count() -> None:
    truth = labels("1100")
    assert score_targets([(truth, truth)], (Target(1, 0, is_seen=True),)) == ()


def test_perfect_prediction_gives_one_and_a_group_without_objects_nothing() -> None:
    frames = [(labels("1122 1122"), labels("1122 1122"))] * 3
    both = summarize(score_targets(frames, (Target(1, 0, is_seen=True), Target(2, 0, is_seen=False))))
    assert both.overall == 1.0
    alone = summarize(score_targets(frames, (Target(1, 0, is_seen=True),)))
    assert alone.region_seen == 1.0
    assert math.isnan(alone.overall)
