import math

import pytest

from univs.evaluation.panoptic_targets import PanopticTarget, summarize, tally

from .shapes import labels


def test_figures_of_a_case_worked_by_hand() -> None:
    """In so small a frame all of a mask is boundary, so that mask and boundary IoU agree.

    Thing 1 (seen) counts in frames 1 and 2 with 1/2 and 1; stuff 2 (unseen) in frame 2 with 0; thing 3 (unseen) in
    frames 1 and 2 with 1 each. A second video adds thing 1 (seen) with 0 in one frame: its group has (1/2 + 1 + 0) / 3.
    """
    truths = (labels("1100 0033"), labels("1122 0033"), labels("1122 0033"))
    predictions = (labels("0000 0000"), labels("1000 0033"), labels("1100 0033"))
    targets = (
        PanopticTarget(1, 0, is_thing=True, is_seen=True),
        PanopticTarget(2, 1, is_thing=False, is_seen=False),
        PanopticTarget(3, 0, is_thing=True, is_seen=False),
    )
    first = tally(list(zip(predictions, truths, strict=True)), targets)
    second = tally([(labels("00"), labels("11"))] * 2, targets[:1])
    report = summarize(first + second)
    assert report.thing_seen_mask == report.thing_seen_boundary == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert report.thing_unseen_mask == 1.0
    assert report.stuff_unseen_boundary == 0.0
    assert math.isnan(report.stuff_seen_mask)
    assert math.isnan(report.overall)


def test_overall_is_the_mean_of_eight_and_perfect_prediction_gives_one() -> None:
    truth = labels("1122 3344")
    targets = [PanopticTarget(number, 0, is_thing=number < 3, is_seen=number % 2 == 0) for number in (1, 2, 3, 4)]
    report = summarize(tally([(truth, truth)] * 2, targets))
    assert report.overall == 1.0
    assert report.decay == pytest.approx(0.0)


def test_decay_recovers_an_exponential() -> None:
    """Frames with 1 object score 1/2, which is exp(-c / 100) for c = 100 ln 2."""
    frames = [(labels("1"), labels("1")), (labels("10"), labels("11"))]
    report = summarize(tally(frames, (PanopticTarget(1, 0, is_thing=True, is_seen=True),)))
    assert report.decay == pytest.approx(100 * math.log(2))
