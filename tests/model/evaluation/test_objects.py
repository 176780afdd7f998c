import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from univs import rle
from univs.errors import InputError
from univs.evaluation.objects import ObjectsReport, course, score_objects, score_proposals, summarize
from univs.evaluation.semantic import LabelMap

from .shapes import labels


def test_mean_recall_and_decay_of_a_case_worked_by_hand() -> None:
    """Eight frames; quarters of frames 1-3, 3-5 (rounded from 2.75, 4.5, 6.25), 5-6 and 6-8 share their borders.

    First (0.9 + 0.8 + 0.7) / 3 = 0.8, last (0.4 + 0.3 + 0.2) / 3 = 0.3: decay 0.5. Above one half: 4 of 8, 0.5 is not.
    """
    values = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    result = course(values)
    assert (result.mean, result.recall, result.decay) == pytest.approx((0.55, 4 / 8, 0.5))
    assert course(np.array([0.7])).decay == 0.0


def test_objects_weigh_the_same_whatever_the_length_of_their_clips() -> None:
    """Object 1 of clip one: J 1 in one frame. Objects 1 and 2 of clip two: J 1/2 and 0 in each of two frames.

    In clip two, 1 holds one of two pixels and 2 is never found: J mean (1 + 1/2 + 0) / 3, recall 1/3.
    """
    one = score_objects("one", [(labels("1100"), labels("1100"))], (1,))
    pair = (labels("1000"), labels("1122"))
    two = score_objects("two", [pair, pair], (1, 2))
    report = summarize((*one, *two))
    assert [score.region.mean for score in report.objects] == pytest.approx([1.0, 0.5, 0.0])
    assert report.region.mean == pytest.approx(0.5)
    assert report.region.recall == pytest.approx(1 / 3)
    assert report.mean == pytest.approx((report.region.mean + report.boundary.mean) / 2)
    assert report.objects[2].num_frames == 2


def test_void_and_unknown_ids_are_background() -> None:
    frame = (np.where(labels("1130") == 3, 77, labels("1130")), np.where(labels("1130") == 3, 255, labels("1130")))
    (score,) = score_objects("clip", [frame], (1,))
    assert score.region.mean == 1.0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools under trackeval
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_figures_equal_those_of_trackeval(seed: int) -> None:
    library = pytest.importorskip("trackeval.metrics", reason="trackeval is not installed; see docs/evaluation.md")
    frames = _random_frames(seed)
    report = summarize(score_objects("clip", frames, (1, 2)))
    result = library.JAndF().eval_sequence(_for_trackeval(frames))
    assert _figures(report) == pytest.approx(
        tuple(float(result[name]) for name in ("J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")),
        abs=1e-9,
    )
    assert report.mean == pytest.approx(result["J&F"], abs=1e-9)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools under trackeval
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_proposals_score_as_in_trackeval(seed: int) -> None:
    library = pytest.importorskip("trackeval.metrics", reason="trackeval is not installed; see docs/evaluation.md")
    frames = [(np.array([0, 2, 1])[predicted], truth) for predicted, truth in _random_frames(seed)]
    metric = library.JAndF()
    metric.optim_type = "J&F"
    result = metric.eval_sequence(_for_trackeval(frames))
    report = summarize(score_proposals("clip", frames, (1, 2), (1, 2)))
    assert report.mean == pytest.approx(result["J&F"], abs=1e-9)
    assert report.region.decay == pytest.approx(result["J-Decay"], abs=1e-9)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_proposals_are_scored_whatever_their_ids(seed: int) -> None:
    frames = _random_frames(seed)
    renamed = [(np.array([0, 6, 5])[predicted], truth) for predicted, truth in frames]
    report = summarize(score_proposals("clip", renamed, (1, 2), (5, 6)))
    assert _figures(report) == pytest.approx(_figures(summarize(score_objects("clip", frames, (1, 2)))))


def test_object_without_a_proposal_scores_zero_and_too_many_proposals_do_no_harm() -> None:
    truth = labels("1122")
    scores = score_proposals("clip", [(labels("0077"), truth)], (1, 2), (7,))
    assert [score.region.mean for score in scores] == [0.0, 1.0]
    scores = score_proposals("clip", [(labels("8977"), truth)], (1, 2), (7, 8, 9))
    assert [score.region.mean for score in scores] == [0.5, 1.0]


def test_perfect_prediction_gives_one() -> None:
    frames = [(truth, truth) for _, truth in _random_frames(3)]
    assert _figures(summarize(score_objects("clip", frames, (1, 2)))) == (1.0, 1.0, 0.0, 1.0, 1.0, 0.0)


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(InputError, match="at least one frame"):
        score_objects("short", [], (1,))
    with pytest.raises(InputError, match="at least one object"):
        summarize([])


def _random_frames(seed: int) -> list[tuple[LabelMap, LabelMap]]:
    """Draw two rectangles that move, and predictions that lag behind."""
    generator = np.random.default_rng(seed)
    num_frames = int(generator.integers(1, 9))
    frames = []
    for frame in range(num_frames):
        maps = np.zeros((2, 40, 60), dtype=np.int64)
        for number, (top, left) in enumerate(((3, 4), (22, 30)), start=1):
            shift = int(generator.integers(0, 5)) if generator.random() < 0.9 else 30
            maps[0, top : top + 14, left + frame - shift + 4 : left + frame - shift + 22] = number
            maps[1, top : top + 15, left + frame : left + frame + 20] = number
        frames.append((maps[0], maps[1]))
    return frames


def _figures(report: ObjectsReport) -> tuple[float, ...]:
    region, boundary = report.region, report.boundary
    return (region.mean, region.recall, region.decay, boundary.mean, boundary.recall, boundary.decay)


def _for_trackeval(frames: list[tuple[LabelMap, LabelMap]]) -> dict[str, object]:
    def encoded(label_map: LabelMap) -> list[dict[str, object]]:
        masks = [rle.encode(label_map == number) for number in (1, 2)]
        return [{"size": list(mask.size), "counts": mask.counts} for mask in masks]

    ids = [np.array([0, 1]) for _ in frames]
    return {
        "num_timesteps": len(frames),
        "num_tracker_ids": 2,
        "num_gt_ids": 2,
        "gt_dets": [encoded(truth) for _, truth in frames],
        "tracker_dets": [encoded(predicted) for predicted, _ in frames],
        "gt_ids": ids,
        "tracker_ids": [each.copy() for each in ids],
    }
