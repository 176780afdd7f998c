import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from univs.errors import InputError
from univs.evaluation.hota import THRESHOLDS, FramePairs, HotaTally, summarize, tally


def test_hota_of_a_case_worked_by_hand() -> None:
    """One object of 4 frames. Track 7 follows it for 3 frames, track 8 for the last; similarity 0.52 throughout.

    Matches at the thresholds 0.05 to 0.5, 10 of 19. There: 4 hits, nothing missed or invented, DetA 1. Hits of 7 have
    association 3 / (4 + 3 - 3), that of 8 1 / (4 + 1 - 1): AssA (3 * 3/4 + 1/4) / 4 = 5/8, HOTA sqrt(5/8).
    """
    frames = [FramePairs((1,), (7 + frame // 3,), np.array([[0.52]])) for frame in range(4)]
    report = summarize(tally(frames))
    assert report.detection == pytest.approx(10 / 19)
    assert report.association == pytest.approx(10 / 19 * 5 / 8)
    assert report.hota == pytest.approx(10 / 19 * math.sqrt(5 / 8))


def test_videos_are_joined_by_their_hits() -> None:
    """Video one: one hit, AssA 1. Video two: 4 hits of AssA 5/8, and one false alarm. Together 5 hits."""
    one = tally([FramePairs((1,), (1,), np.array([[1.0]]))])
    two = tally([FramePairs((1,), (7 + frame // 3,), np.array([[1.0]])) for frame in range(4)])
    alarm = tally([FramePairs((), (9,), np.zeros((0, 1)))])
    report = summarize(one + two + alarm)
    assert report.detection == pytest.approx(5 / 6)
    assert report.association == pytest.approx((1 + 4 * 5 / 8) / 5)


def test_missed_and_empty_videos() -> None:
    missed = summarize(tally([FramePairs((1, 2), (), np.zeros((2, 0)))]))
    assert (missed.hota, missed.detection, missed.localization) == (0.0, 0.0, 1.0)
    assert tally([]).num_true == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_figures_equal_those_of_trackeval(seed: int) -> None:
    library = pytest.importorskip("trackeval.metrics", reason="trackeval is not installed; see docs/evaluation.md")
    videos = [_random_video(seed), _random_video(seed + 1)]
    metric = library.HOTA()
    expected = metric.combine_sequences(
        {str(number): metric.eval_sequence(_for_trackeval(video)) for number, video in enumerate(videos)}
    )
    report = summarize(tally(videos[0]) + tally(videos[1]))
    assert report.hota == pytest.approx(float(np.mean(expected["HOTA"])), abs=1e-9)
    assert report.detection == pytest.approx(float(np.mean(expected["DetA"])), abs=1e-9)
    assert report.association == pytest.approx(float(np.mean(expected["AssA"])), abs=1e-9)
    assert report.localization == pytest.approx(float(np.mean(expected["LocA"])), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_ids_mean_nothing_and_a_false_alarm_never_helps(seed: int) -> None:
    video = _random_video(seed)
    renamed = [
        FramePairs(frame.true_ids, tuple(100 - number for number in frame.predicted_ids), frame.similarity)
        for frame in video
    ]
    alarm = FramePairs((), (9999,), np.zeros((0, 1)))
    assert _same(tally(renamed), tally(video))
    assert summarize(tally([*video, alarm])).hota <= summarize(tally(video)).hota + 1e-12


def test_perfect_prediction_gives_one() -> None:
    frames = [FramePairs((1, 2), (5, 4), np.eye(2)) for _ in range(3)]
    report = summarize(tally(frames))
    assert (report.hota, report.detection, report.association, report.localization) == pytest.approx((1, 1, 1, 1))


def test_impossible_frames_are_refused() -> None:
    with pytest.raises(InputError, match="shape"):
        FramePairs((1,), (1,), np.zeros((2, 1)))
    with pytest.raises(InputError, match="once a frame"):
        FramePairs((1, 1), (), np.zeros((2, 0)))


def _random_video(seed: int) -> list[FramePairs]:
    generator = np.random.default_rng(seed)
    frames = []
    for _ in range(int(generator.integers(0, 7))):
        true_ids = generator.permutation(5)[: generator.integers(0, 5)]
        predicted_ids = generator.permutation(6)[: generator.integers(0, 6)]
        similarity = generator.random((len(true_ids), len(predicted_ids)))
        similarity[generator.random(similarity.shape) < 0.4] = 0.0
        frames.append(FramePairs(tuple(true_ids.tolist()), tuple(predicted_ids.tolist()), similarity))
    return frames


def _for_trackeval(video: list[FramePairs]) -> dict[str, object]:
    def numbered(groups: list[tuple[int, ...]]) -> tuple[list[np.ndarray[tuple[int], np.dtype[np.int64]]], int]:
        order = {number: row for row, number in enumerate(sorted({number for group in groups for number in group}))}
        return [np.array([order[number] for number in group], dtype=np.int64) for group in groups], len(order)

    true_ids, num_true = numbered([frame.true_ids for frame in video])
    predicted_ids, num_predicted = numbered([frame.predicted_ids for frame in video])
    return {
        "num_gt_ids": num_true,
        "num_tracker_ids": num_predicted,
        "num_gt_dets": sum(len(frame.true_ids) for frame in video),
        "num_tracker_dets": sum(len(frame.predicted_ids) for frame in video),
        "gt_ids": true_ids,
        "tracker_ids": predicted_ids,
        "similarity_scores": [frame.similarity for frame in video],
    }


def _same(first: HotaTally, second: HotaTally) -> bool:
    return len(THRESHOLDS) == 19 and bool(
        np.allclose(first.true_positives, second.true_positives)
        and np.allclose(first.false_positives, second.false_positives)
        and np.allclose(first.association_sum, second.association_sum)
    )
