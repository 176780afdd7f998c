import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from univs.errors import InputError
from univs.evaluation.panoptic import PanopticMap, PanopticTally, Segment, empty_tally, tally
from univs.evaluation.video_panoptic import summarize_windows, window_tallies

from .shapes import labels, random_labels
from .test_panoptic import by_hotcoco

_IS_THING = (True, False)


def test_quality_of_a_case_worked_by_hand() -> None:
    """A thing (1) changes its predicted id from 1 to 2 in the second of two frames; the stuff (3) is perfect.

    Windows of 1: two windows, all matched: PQ 1 for both classes.
    Windows of 2: one tube of 4 pixels, predicted as two tubes of 2: IoU 2/4 is no match. One missed, two invented:
    PQ 0 for things, 1 for stuff, 1/2 together.
    VPQ over windows 1 and 2: (1 + 1/2) / 2, things (1 + 0) / 2.
    """
    truth = PanopticMap(np.stack([labels("1133"), labels("1133")]), (Segment(1, 0), Segment(3, 1)))
    segments = (Segment(1, 0), Segment(2, 0), Segment(3, 1))
    predicted = PanopticMap(np.stack([labels("1133"), labels("2233")]), segments)
    singles, pairs = window_tallies(predicted, truth, 2, windows=(1, 2))
    assert singles.true_positives.tolist() == [2, 2]
    assert (pairs.false_negatives.tolist(), pairs.false_positives.tolist()) == ([1, 0], [2, 0])
    report = summarize_windows((singles, pairs), _IS_THING)
    assert report.vpq == pytest.approx(3 / 4)
    assert (report.things, report.stuff) == pytest.approx((1 / 2, 1.0))
    assert report.classes == pytest.approx((1 / 2, 1.0))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_windows_of_one_frame_are_pictures_and_the_longest_is_one_tube(seed: int) -> None:
    truth, predicted = _random_video(seed), _random_video(seed + 1)
    singles, whole = window_tallies(predicted, truth, 2, windows=(1, 4))
    pictures = empty_tally(2)
    for frame in range(4):
        picture = PanopticMap(predicted.ids[frame], predicted.segments)
        pictures = pictures + tally(picture, PanopticMap(truth.ids[frame], truth.segments), 2)
    assert _counts(singles) == _counts(pictures)
    assert _counts(whole) == _counts(tally(predicted, truth, 2))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_tubes_score_as_segments_of_a_picture_of_all_frames(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    truth, predicted = _random_video(seed), _random_video(seed + 1)
    (whole,) = window_tallies(predicted, truth, 2, windows=(4,))
    tall = [PanopticMap(video.ids.reshape(-1, 12), video.segments) for video in (predicted, truth)]
    expected = by_hotcoco(tmp_path_factory.mktemp("tall"), tall[0], tall[1], _IS_THING)
    assert summarize_windows((whole,), _IS_THING).classes == pytest.approx(tuple(expected), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_perfect_prediction_gives_one_and_ids_mean_nothing(seed: int) -> None:
    truth, predicted = _random_video(seed), _random_video(seed + 1)
    assert summarize_windows(window_tallies(truth, truth, 2), _IS_THING).vpq == 1.0
    order = np.concatenate([[0], 10 + np.random.default_rng(seed).permutation(4)])
    renamed = PanopticMap(
        order[predicted.ids],
        tuple(Segment(int(order[segment.segment_id]), segment.category_id) for segment in predicted.segments),
    )
    pairs = zip(window_tallies(renamed, truth, 2), window_tallies(predicted, truth, 2), strict=True)
    assert all(_counts(first) == _counts(second) for first, second in pairs)


def test_video_shorter_than_a_window_adds_nothing_there() -> None:
    video = _random_video(0)
    *_, longest = window_tallies(video, video, 2, windows=(1, 6))
    report = summarize_windows((longest,), _IS_THING)
    assert longest.true_positives.sum() == 0
    assert math.isnan(report.vpq)


def test_window_without_frames_is_refused() -> None:
    video = _random_video(0)
    with pytest.raises(InputError, match="at least one frame"):
        window_tallies(video, video, 2, windows=(0, 1))


def _random_video(seed: int) -> PanopticMap:
    ids = random_labels(seed, (4, 12, 12), 5)
    return PanopticMap(ids, tuple(Segment(value, value % 2) for value in range(1, 5)))


def _counts(total: PanopticTally) -> tuple[list[float], list[int], list[int], list[int]]:
    return (
        total.iou_sum.round(9).tolist(),
        total.true_positives.tolist(),
        total.false_positives.tolist(),
        total.false_negatives.tolist(),
    )
