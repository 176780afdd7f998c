import json
import math
from pathlib import Path

import numpy as np
import pytest
from hotcoco.panoptic import PanopticEval
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from univs.errors import InputError
from univs.evaluation.panoptic import PanopticMap, PanopticTally, Segment, empty_tally, summarize, tally
from univs.evaluation.semantic import LabelMap

from .shapes import labels, random_labels

_PICTURES = Path(__file__).parents[4] / "shared" / "data" / "metrics" / "deeplab2_pq"
_NUM_CLASSES = 3
_IS_THING = (True, True, False)
_COLOURS = ((0, 0, 0), (0, 0, 255), (255, 0, 0), (0, 255, 0), (255, 0, 255), (0, 255, 255), (255, 255, 0))
_TEAM = {47: 1, 97: 1, 133: 1, 150: 1, 174: 1, 198: 2, 215: 1, 244: 1, 255: 1}


def test_quality_of_a_case_worked_by_hand() -> None:
    """Things: true 1 (class 0, 6 pixels) meets predicted 1 on 4, whose fifth pixel is void: IoU 4 / (5 + 6 - 4 - 1).

    True 2 (class 1, 3 pixels) meets predicted 2 on 1 of its 3 pixels, 1/5: one missed, one invented.
    Stuff: true 3 (class 2, 6 pixels) meets predicted 3 on 5 of its 7 pixels: IoU 5/8.
    PQ: class 0 (4/6) / 1, class 1 0 / (1/2 + 1/2), class 2 5/8.
    """
    truth = PanopticMap(labels("11110 11222 33333 30000"), (Segment(1, 0), Segment(2, 1), Segment(3, 2)))
    predicted = PanopticMap(labels("11111 02233 33332 30000"), (Segment(1, 0), Segment(2, 1), Segment(3, 2)))
    report = summarize(tally(predicted, truth, _NUM_CLASSES), _IS_THING)
    assert report.classes[0].pq == pytest.approx(4 / 6)
    assert (report.classes[1].pq, report.classes[1].sq, report.classes[1].rq) == (0.0, 0.0, 0.0)
    assert report.classes[2].sq == pytest.approx(5 / 8)
    assert report.all.pq == pytest.approx((4 / 6 + 0 + 5 / 8) / 3)
    assert report.things.pq == pytest.approx(4 / 6 / 2)
    assert report.stuff.pq == pytest.approx(5 / 8)
    assert (report.all.num_classes, report.things.num_classes) == (3, 2)


def test_predictions_in_void_or_in_a_crowd_of_their_class_are_no_false_alarm() -> None:
    """Predicted 4 and 5 lie in a crowd of class 0: 4 is of class 0 and forgiven, 5 of class 1 and counted.

    Predicted 6 lies to two thirds in void, meets true 1 with IoU 1 / (3 + 2 - 1 - 2) = 1/2, and is forgiven.
    """
    truth = PanopticMap(labels("7777777 0001122"), (Segment(7, 0, is_crowd=True), Segment(1, 1), Segment(2, 1)))
    predicted = PanopticMap(labels("4445555 0666022"), (Segment(4, 0), Segment(5, 1), Segment(6, 1), Segment(2, 1)))
    counted = tally(predicted, truth, 2)
    assert counted.true_positives.tolist() == [0, 1]
    assert counted.false_positives.tolist() == [0, 1]
    assert counted.false_negatives.tolist() == [0, 1]  # true 1; a crowd is never missed


def test_classes_that_do_not_occur_are_left_out() -> None:
    report = summarize(empty_tally(2), (True, False))
    assert math.isnan(report.all.pq)
    assert report.all.num_classes == 0


def test_unknown_ids_and_categories_are_refused() -> None:
    truth = PanopticMap(labels("11"), (Segment(1, 0),))
    with pytest.raises(InputError, match="segment for every predicted id"):
        tally(PanopticMap(labels("19"), (Segment(1, 0),)), truth, 1)
    with pytest.raises(InputError, match=r"expected categories 0\.\.0, got 4"):
        tally(PanopticMap(labels("11"), (Segment(1, 4),)), truth, 1)
    with pytest.raises(InputError, match=r"expected ids 0\.\."):
        tally(PanopticMap(labels("11") - 2, ()), truth, 1)
    with pytest.raises(InputError, match="means void"):
        Segment(0, 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_figures_equal_those_of_hotcoco(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    truth, predicted = _random_map(seed, has_crowd=True), _random_map(seed + 1, has_crowd=False)
    report = summarize(tally(predicted, truth, _NUM_CLASSES), _IS_THING)
    expected = by_hotcoco(tmp_path_factory.mktemp("panoptic"), predicted, truth)
    for row, quality in enumerate(report.classes):
        if quality.num_classes:
            assert quality.pq == pytest.approx(expected[row], abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_perfect_prediction_gives_one_and_ids_mean_nothing(seed: int) -> None:
    truth, predicted = _random_map(seed, has_crowd=False), _random_map(seed + 1, has_crowd=False)
    assert summarize(tally(truth, truth, _NUM_CLASSES), _IS_THING).all.pq == 1.0
    shifted = PanopticMap(
        np.where(predicted.ids == 0, 0, 40 - predicted.ids),
        tuple(Segment(40 - segment.segment_id, segment.category_id) for segment in predicted.segments),
    )
    assert _same(tally(shifted, truth, _NUM_CLASSES), tally(predicted, truth, _NUM_CLASSES))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_unmatched_prediction_on_what_was_void_never_raises_quality(seed: int) -> None:
    truth, predicted = _random_map(seed, has_crowd=False), _random_map(seed + 1, has_crowd=False)
    ids = np.where((predicted.ids == 0) & (truth.ids != 0), 50, predicted.ids)
    is_unmatched = not tally(PanopticMap(ids, (*predicted.segments, Segment(50, 0))), truth, 3).true_positives[0]
    added = PanopticMap(ids, (*predicted.segments, Segment(50, 0)))
    before, after = (summarize(tally(each, truth, 3), _IS_THING).classes[0] for each in (predicted, added))
    if is_unmatched and before.num_classes:
        assert after.pq <= before.pq


@pytest.mark.skipif(not _PICTURES.is_dir(), reason="panoptic test pictures do not lie beside this checkout")
def test_published_scores_of_pictures_are_reproduced() -> None:
    """The pictures and their scores belong to the evaluator of deeplab2, whose averages include all classes but 0."""
    team = _picture("team_gt_instance.png", _TEAM, "team_pred")
    alone = summarize(team, (True,) * 7)
    assert (alone.all.pq, alone.all.sq, alone.all.rq) == pytest.approx((0.62156284, 0.64664984, 0.9666667), abs=1e-7)
    assert int(team.true_positives.sum()) == 2 * 4
    assert int(team.false_negatives.sum()) == 2 * 0.5
    bird = _picture("bird_gt.png", {92: 5, 176: 3, 255: 4}, "bird_pred")
    cat = _picture("cat_gt.png", {255: 6}, "cat_pred")
    together = summarize(bird + cat + team, (True,) * 7)
    expected = (0.76855499, 0.7769174, 0.98888892)
    assert (together.all.pq, together.all.sq, together.all.rq) == pytest.approx(expected, abs=1e-7)


def _picture(truth_name: str, category_of_value: dict[int, int], predicted_stem: str) -> PanopticTally:
    truth = _grey(truth_name)
    segments = tuple(Segment(value, category) for value, category in category_of_value.items())
    with Image.open(_PICTURES / f"{predicted_stem}_class.png") as image:
        colours = np.array(image.convert("RGB"))
    categories = np.zeros(truth.shape, dtype=np.int64)
    for category, colour in enumerate(_COLOURS):
        categories[np.all(colours == colour, axis=-1)] = category
    ids = np.where(categories == 0, 0, categories * 256 + _grey(f"{predicted_stem}_instance.png"))
    predicted = tuple(Segment(value, value // 256) for value in np.unique(ids).tolist() if value)
    return tally(PanopticMap(ids, predicted), PanopticMap(truth, segments), 7)


def _grey(name: str) -> LabelMap:
    with Image.open(_PICTURES / name) as image:
        return np.array(image.convert("L")).astype(np.int64)


def _random_map(seed: int, has_crowd: bool) -> PanopticMap:
    ids = random_labels(seed, (18, 21), 7)
    categories = np.random.default_rng(seed).integers(0, _NUM_CLASSES, 7)
    return PanopticMap(
        ids, tuple(Segment(value, int(categories[value]), has_crowd and value == 6) for value in range(1, 7))
    )


def _same(first: PanopticTally, second: PanopticTally) -> bool:
    pairs = (
        (first.true_positives, second.true_positives),
        (first.false_positives, second.false_positives),
        (first.false_negatives, second.false_negatives),
    )
    return np.allclose(first.iou_sum, second.iou_sum) and all(np.array_equal(*pair) for pair in pairs)


def by_hotcoco(
    root: Path, predicted: PanopticMap, truth: PanopticMap, is_thing: tuple[bool, ...] = _IS_THING
) -> list[float]:
    """Give PQ of each class as the library computes it from files in the format of COCO; ids below 256."""
    categories = [{"id": row, "name": str(row), "isthing": int(thing)} for row, thing in enumerate(is_thing)]
    height, width = truth.ids.shape
    for name, panoptic in (("gt", truth), ("pred", predicted)):
        (root / name).mkdir()
        Image.fromarray(np.stack([panoptic.ids, 0 * panoptic.ids, 0 * panoptic.ids], axis=-1).astype(np.uint8)).save(
            root / name / "1.png"
        )
        segments = [
            {
                "id": segment.segment_id,
                "category_id": segment.category_id,
                "iscrowd": int(segment.is_crowd),
                "area": int(np.count_nonzero(panoptic.ids == segment.segment_id)),
                "bbox": [0, 0, 1, 1],
            }
            for segment in panoptic.segments
            if np.any(panoptic.ids == segment.segment_id)
        ]
        content = {
            "images": [{"id": 1, "file_name": "1.jpg", "height": height, "width": width}],
            "annotations": [{"image_id": 1, "file_name": "1.png", "segments_info": segments}],
            "categories": categories,
        }
        (root / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    evaluator = PanopticEval(root / "gt.json", root / "pred.json", gt_folder=root / "gt", pred_folder=root / "pred")
    evaluator.run()
    per_class = evaluator.results()["per_class"]
    return [
        float(per_class[row]["pq"] if row in per_class else per_class[str(row)]["pq"]) for row in range(len(is_thing))
    ]
