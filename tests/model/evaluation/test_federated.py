"""LVIS: by hand, each rule for classes that are annotated in some pictures only."""

from typing import Any

import numpy as np
import pytest

from univs import rle
from univs.evaluation.federated import evaluate_federated
from univs.evaluation.instances import ScoredInstance
from univs.rle import Rle

_GOAT, _YAK = 1, 2


def _mask(first_row: int) -> Rle:
    mask = np.zeros((40, 40), dtype=np.bool_)
    mask[first_row : first_row + 10, :20] = True
    return rle.encode(mask)


def _annotation(negative: list[int], incomplete: list[int]) -> dict[str, Any]:
    """A goat in picture 1, a yak in picture 2; what is known of other classes holds for picture 2."""
    images = [
        {"id": 1, "height": 40, "width": 40, "neg_category_ids": [], "not_exhaustive_category_ids": []},
        {"id": 2, "height": 40, "width": 40, "neg_category_ids": negative, "not_exhaustive_category_ids": incomplete},
    ]
    annotations = [
        {
            "id": number,
            "image_id": number,
            "category_id": number,
            "area": 200.0,
            "bbox": [0, 0, 20, 10],
            "segmentation": {"size": [40, 40], "counts": _mask(0).counts},
        }
        for number in (_GOAT, _YAK)
    ]
    categories = [{"id": _GOAT, "name": "goat", "frequency": "f"}, {"id": _YAK, "name": "yak", "frequency": "r"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def _found(*more: ScoredInstance) -> list[ScoredInstance]:
    """Both animals, and more that is surer."""
    return [ScoredInstance(1, _GOAT, 0.5, _mask(0)), ScoredInstance(2, _YAK, 0.5, _mask(0)), *more]


def test_truth_as_prediction_has_full_precision() -> None:
    figures = evaluate_federated(_found(), _annotation([], []))
    assert figures["AP"] == pytest.approx(1.0)
    assert figures["APf"] == pytest.approx(1.0) and figures["APr"] == pytest.approx(1.0)
    assert np.isnan(figures["APc"])


def test_class_that_a_picture_says_nothing_of_does_no_harm_there() -> None:
    goat_in_picture_2 = ScoredInstance(2, _GOAT, 0.9, _mask(20))
    assert evaluate_federated(_found(goat_in_picture_2), _annotation([], []))["APf"] == pytest.approx(1.0)


def test_class_that_a_picture_surely_lacks_is_a_false_alarm_there() -> None:
    """The surer of two answers is wrong: precision is 1/2 at every recall."""
    goat_in_picture_2 = ScoredInstance(2, _GOAT, 0.9, _mask(20))
    assert evaluate_federated(_found(goat_in_picture_2), _annotation([_GOAT], []))["APf"] == pytest.approx(0.5)


def test_second_object_of_an_incomplete_class_does_no_harm() -> None:
    second_yak = ScoredInstance(2, _YAK, 0.9, _mask(20))
    assert evaluate_federated(_found(second_yak), _annotation([], []))["APr"] == pytest.approx(0.5)
    assert evaluate_federated(_found(second_yak), _annotation([], [_YAK]))["APr"] == pytest.approx(1.0)


def test_nothing_predicted_scores_zero() -> None:
    assert evaluate_federated([], _annotation([], []))["AP"] == 0.0
