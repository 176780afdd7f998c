import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from univs.evaluation.class_tracking import AnnotatedVideo, Detection, summarize_classes, tally_classes
from univs.evaluation.hota import HotaTally
from univs.evaluation.mask_iou import iou

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


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_figures_equal_those_of_trackeval(seed: int, is_exemplar_guided: bool) -> None:
    """Its rules for BURST drop predictions, its HOTA counts, its averages run over the annotated classes."""
    reason = "trackeval is not installed; see docs/evaluation.md"
    metrics = pytest.importorskip("trackeval.metrics", reason=reason)
    base = pytest.importorskip("trackeval.datasets.burst_helpers.burst_base", reason=reason).BURSTBase
    videos = [_random_video(seed), _random_video(seed + 1)]
    totals: dict[int, HotaTally] = {}
    for predicted, truth in videos:
        for number, total in tally_classes(predicted, truth, (1, 2, 3), is_exemplar_guided).items():
            totals[number] = totals[number] + total if number in totals else total
    report = summarize_classes(totals, frozenset({1}))

    metric, by_class = metrics.HOTA(), {}
    for number in report.classes:
        rules = SimpleNamespace(
            config={"EXEMPLAR_GUIDED": is_exemplar_guided},
            class_name_to_class_id={str(number): number},
            _check_unique_ids=lambda _data: None,
            _iou_type=lambda: "mask",
        )
        by_class[str(number)] = metric.combine_sequences(
            {
                str(row): metric.eval_sequence(base.get_preprocessed_seq_data(rules, _raw(*video), str(number)))
                for row, video in enumerate(videos)
            }
        )
    if by_class:
        expected = metric.combine_classes_class_averaged(by_class)
        assert report.all.hota == pytest.approx(float(np.mean(expected["HOTA"])), abs=1e-9)
        assert report.all.detection == pytest.approx(float(np.mean(expected["DetA"])), abs=1e-9)
        assert report.all.association == pytest.approx(float(np.mean(expected["AssA"])), abs=1e-9)


def _random_video(seed: int) -> tuple[list[tuple[Detection, ...]], AnnotatedVideo]:
    """Draw objects of three classes, predictions near them and elsewhere, and what is known of the classes."""
    generator = np.random.default_rng(seed)
    category_of = {track_id: int(generator.integers(1, 4)) for track_id in range(1, 5)}
    frames: list[tuple[tuple[Detection, ...], tuple[Detection, ...]]] = []
    for _ in range(int(generator.integers(1, 5))):
        there, here = [], []
        for track_id, category_id in category_of.items():
            box = (4 * track_id - 3, int(generator.integers(0, 12)), 4, 8)
            if generator.random() < 0.7:
                there.append(Detection(track_id, category_id, rectangle(*box)))
            if generator.random() < 0.8:
                near = (box[0], box[1] + int(generator.integers(0, 5)), 4, 8)
                here.append(Detection(10 + track_id, category_id, rectangle(*near)))
        here.append(Detection(int(generator.integers(20, 23)), int(generator.integers(1, 4)), rectangle(0, 24, 4, 4)))
        frames.append((tuple(here), tuple(there)))
    known = [frozenset({int(generator.integers(1, 4))}) for _ in range(2)]
    return [here for here, _ in frames], AnnotatedVideo(tuple(there for _, there in frames), known[0], known[1])


def _raw(predicted: list[tuple[Detection, ...]], truth: AnnotatedVideo) -> dict[str, Any]:
    def column(frames: Any, name: str) -> list[Any]:
        return [np.array([getattr(each, name) for each in frame], dtype=np.int64) for frame in frames]

    similarity = [
        iou([each.mask for each in there], [each.mask for each in here])
        for here, there in zip(predicted, truth.frames, strict=True)
    ]
    nothing: dict[int, list[object]] = {
        number: [] for number in (1, 2, 3)
    }  # tracks as a whole, which HOTA does not ask for
    names = ("tracks", "track_ids", "track_lengths", "track_areas")
    return {
        "num_timesteps": len(predicted),
        "seq": "video",
        "neg_cat_ids": truth.absent_categories,
        "not_exhaustively_labeled_cls": truth.incomplete_categories,
        "gt_classes": column(truth.frames, "category_id"),
        "gt_ids": column(truth.frames, "track_id"),
        "gt_dets": column(truth.frames, "track_id"),
        "tracker_classes": column(predicted, "category_id"),
        "tracker_ids": column(predicted, "track_id"),
        "tracker_dets": column(predicted, "track_id"),
        "tracker_confidences": column(predicted, "track_id"),
        "similarity_scores": similarity,
        "classes_to_dt_track_scores": nothing,
        **{f"classes_to_{kind}_{name}": nothing for kind in ("gt", "dt") for name in names},
    }
