import contextlib
import io
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from univs import rle
from univs.errors import InputError
from univs.evaluation.instances import ScoredInstance, TrueInstance, evaluate_instances
from univs.evaluation.precision import Precision
from univs.rle import Rle

from .shapes import HEIGHT, WIDTH, rectangle

_CATEGORIES = (7, 3)  # not in the order of their ids, on purpose


def test_precision_of_a_case_worked_by_hand() -> None:
    """Two objects of 100 pixels. Best prediction: 8 of 10 rows of the first, IoU 0.8; second best: nothing there.

    Matched at 0.5 to 0.8 (7 thresholds of 10): recall 1/2 at precision 1, and 51 of 101 points of recall reached.
    AP = 0.7 * 51 / 101, AP50 = AP75 = 51 / 101, AR = 0.7 / 2; with one prediction the same.
    """
    truth = [TrueInstance(1, 3, rectangle(0, 0, 10, 10)), TrueInstance(1, 3, rectangle(0, 15, 10, 10))]
    predicted = [
        ScoredInstance(1, 3, 0.9, rectangle(0, 0, 8, 10)),
        ScoredInstance(1, 3, 0.4, rectangle(12, 0, 5, 5)),
    ]
    report = evaluate_instances(predicted, truth, [3])
    assert report.all.ap == pytest.approx(0.7 * 51 / 101)
    assert (report.all.ap50, report.all.ap75) == pytest.approx((51 / 101, 51 / 101))
    assert (report.all.ar1, report.all.ar100) == pytest.approx((0.35, 0.35))
    assert report.all.ap_small == pytest.approx(report.all.ap)
    assert math.isnan(report.all.ap_large)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_figures_equal_those_of_pycocotools(seed: int) -> None:
    predicted, truth = random_instances(seed)
    report = evaluate_instances(predicted, truth, _CATEGORIES)
    assert figures(report.all) == pytest.approx(by_pycocotools(predicted, truth, _CATEGORIES), abs=1e-9)
    for category_id, each in zip(_CATEGORIES, report.classes, strict=True):
        assert figures(each) == pytest.approx(by_pycocotools(predicted, truth, [category_id]), abs=1e-9)


def test_without_annotations_or_predictions_nothing_is_claimed() -> None:
    instance = ScoredInstance(1, 3, 0.5, rectangle(0, 0, 4, 4))
    assert math.isnan(evaluate_instances([instance], [], [3]).all.ap)
    assert evaluate_instances([], [TrueInstance(1, 3, rectangle(0, 0, 4, 4))], [3]).all.ap == 0.0


def test_masks_of_different_sizes_are_refused() -> None:
    other = rle.encode(np.ones((3, 3), dtype=np.bool_))
    with pytest.raises(InputError, match="picture 1"):
        evaluate_instances([ScoredInstance(1, 3, 1.0, other)], [TrueInstance(1, 3, rectangle(0, 0, 4, 4))], [3])


def random_instances(seed: int) -> tuple[list[ScoredInstance], list[TrueInstance]]:
    """Draw annotations, some of them crowds, and predictions that often lie near one."""
    generator = np.random.default_rng(seed)
    truth, predicted = [], []
    for image_id in range(1, 4):
        for _ in range(int(generator.integers(0, 5))):
            box = _random_box(generator)
            category_id = int(generator.choice(_CATEGORIES))
            truth.append(TrueInstance(image_id, category_id, rectangle(*box), bool(generator.random() < 0.2)))
            for _ in range(int(generator.integers(0, 3))):
                near = (box[0], box[1], max(1, box[2] - int(generator.integers(0, 3))), box[3])
                score = float(generator.integers(0, 5)) / 4  # equal scores happen
                predicted.append(ScoredInstance(image_id, category_id, score, rectangle(*near)))
        predicted.append(ScoredInstance(image_id, 3, 0.6, rectangle(*_random_box(generator))))
    truth.append(TrueInstance(3, 7, rectangle(0, 0, 19, 29)))
    truth.append(TrueInstance(2, 3, rectangle(1, 1, 3, 3)))
    return predicted, truth


def figures(precision: Precision) -> tuple[float, ...]:
    """Give the twelve figures in the order of the library, -1 where there is none."""
    values = (
        precision.ap,
        precision.ap50,
        precision.ap75,
        precision.ap_small,
        precision.ap_medium,
        precision.ap_large,
        precision.ar1,
        precision.ar10,
        precision.ar100,
        precision.ar_small,
        precision.ar_medium,
        precision.ar_large,
    )
    return tuple(-1.0 if math.isnan(value) else value for value in values)


def by_pycocotools(
    predicted: list[ScoredInstance], truth: list[TrueInstance], category_ids: tuple[int, ...] | list[int]
) -> tuple[float, ...]:
    """Give the twelve figures as the reference evaluator has them."""
    reference, results = COCO(), COCO()
    height, width = truth[0].mask.size
    images = [{"id": image_id, "height": height, "width": width} for image_id in (1, 2, 3)]
    categories = [{"id": category_id} for category_id in sorted(category_ids)]
    # The stubs ask for fields of COCO's files that the evaluator does not read, hence Any.
    annotated: list[Any] = [
        _annotation(number, each.image_id, each.category_id, each.mask, iscrowd=int(each.is_crowd))
        for number, each in enumerate((each for each in truth if each.category_id in category_ids), start=1)
    ]
    scored: list[Any] = [
        _annotation(number, each.image_id, each.category_id, each.mask, iscrowd=0, score=each.score)
        for number, each in enumerate((each for each in predicted if each.category_id in category_ids), start=1)
    ]
    annotation_file: Any = {"images": images, "categories": categories, "annotations": annotated}
    result_file: Any = {"images": images, "categories": categories, "annotations": scored}
    reference.dataset, results.dataset = annotation_file, result_file
    with contextlib.redirect_stdout(io.StringIO()):
        reference.createIndex()
        results.createIndex()
        evaluator = COCOeval(reference, results, "segm")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return tuple(float(value) for value in evaluator.stats)


def _annotation(number: int, image_id: int, category_id: int, mask: Rle, **more: Any) -> dict[str, Any]:
    encoded = {"size": list(mask.size), "counts": mask.counts}
    common = {"id": number, "image_id": image_id, "category_id": category_id, "segmentation": encoded}
    return {**common, "area": float(rle.area(mask)), "bbox": list(rle.to_bbox(mask)), **more}


def _random_box(generator: np.random.Generator) -> tuple[int, int, int, int]:
    top, left = int(generator.integers(0, HEIGHT - 8)), int(generator.integers(0, WIDTH - 8))
    return (top, left, int(generator.integers(2, 9)), int(generator.integers(2, 9)))
