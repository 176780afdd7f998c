import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.model.data.miniatures import HEIGHT, WIDTH, label_map, write_image, write_json, write_labels

from univs import rle
from univs.errors import InputError
from univs.evaluation.scoring.benchmarks import score_benchmark

# Pictures of COCO lie beside the checkout where they are at hand; they are no part of the project.
_COCO = Path(__file__).parents[5] / "shared" / "data" / "coco_mini"
_CATEGORIES = [{"id": 9, "name": "goat", "isthing": 1}, {"id": 4, "name": "stone", "isthing": 0}]


def test_instances_are_scored_from_results_of_coco(tmp_path: Path) -> None:
    """Of two objects the goat is found and the stone is not."""
    _write_instances(tmp_path)
    result = {"image_id": 1, "category_id": 9, "score": 0.5, "segmentation": _encoded(1)}
    write_json(tmp_path / "results.json", [result])
    table = score_benchmark("coco_instances", tmp_path, "val", tmp_path / "results.json")
    assert [row.name for row in table.rows] == ["all", "stone", "goat"]
    assert [row.values[0] for row in table.rows] == pytest.approx([0.5, 0.0, 1.0])


@pytest.mark.parametrize("content", ["{}", "[{}]", "["])
def test_results_of_another_format_are_refused(tmp_path: Path, content: str) -> None:
    _write_instances(tmp_path)
    (tmp_path / "results.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"results\.json"):
        score_benchmark("coco_instances", tmp_path, "val", tmp_path / "results.json")


def test_panoptic_segments_are_scored_from_files(tmp_path: Path) -> None:
    """The goat is found exactly; the stone is left void: PQ 1 and 0."""
    segments = [{"id": 1, "category_id": 9, "iscrowd": 0}, {"id": 2, "category_id": 4, "iscrowd": 0}]
    each = {"image_id": 1, "file_name": "1.png"}
    images = [{"id": 1, "height": HEIGHT, "width": WIDTH, "file_name": "1.jpg"}]
    truth = {"images": images, "annotations": [{**each, "segments_info": segments}], "categories": _CATEGORIES}
    write_json(tmp_path / "annotations" / "panoptic_val.json", truth)
    _write_ids(tmp_path / "annotations" / "panoptic_val" / "1.png", label_map(1))
    answer = label_map(1)
    answer[answer == 2] = 0
    _write_ids(tmp_path / "out" / "pan_pred" / "1.png", answer)
    write_json(tmp_path / "out" / "pred.json", {"annotations": [{**each, "segments_info": segments[:1]}]})
    table = score_benchmark("coco_panoptic", tmp_path, "val", tmp_path / "out")
    assert [(row.name, row.values[0]) for row in table.rows] == [
        ("all", 0.5),
        ("things", 1.0),
        ("stuff", 0.0),
        ("stone", 0.0),
        ("goat", 1.0),
    ]
    write_json(tmp_path / "out" / "pred.json", {"annotations": []})
    with pytest.raises(InputError, match="picture 1"):
        score_benchmark("coco_panoptic", tmp_path, "val", tmp_path / "out")


def test_classes_of_pictures_are_scored_from_files(tmp_path: Path) -> None:
    """Class 0 (value 1) is found, class 1 (value 2) is called class 2: IoU 1, 0 and 0."""
    write_image(tmp_path / "images" / "validation" / "a.jpg")
    write_labels(tmp_path / "annotations" / "validation" / "a.png", label_map(1))
    write_labels(tmp_path / "out" / "validation" / "a.png", np.array([0, 1, 3], dtype=np.uint8)[label_map(1)])
    table = score_benchmark("ade20k", tmp_path, "validation", tmp_path / "out")
    assert [(row.name, row.values[0]) for row in table.rows] == [
        ("all", pytest.approx(1 / 3)),
        ("wall", 1.0),
        ("building", 0.0),
        ("sky", 0.0),
    ]


@pytest.mark.skipif(not _COCO.is_dir(), reason="pictures of COCO do not lie beside this checkout")
def test_annotation_of_coco_as_prediction_scores_one(tmp_path: Path) -> None:
    content = json.loads((_COCO / "instances_dev.json").read_text(encoding="utf-8"))
    results = [{**each, "score": 1.0} for each in content["annotations"] if not each["iscrowd"]]
    write_json(tmp_path / "results.json", results)
    instances = score_benchmark("coco_instances", _COCO, "dev", tmp_path / "results.json")
    assert instances.rows[0].values[0] == pytest.approx(1.0, abs=1e-9)
    shutil.copytree(_COCO / "panoptic_dev", tmp_path / "pan_pred")
    shutil.copy(_COCO / "panoptic_dev.json", tmp_path / "pred.json")
    segments = score_benchmark("coco_panoptic", _COCO, "dev", tmp_path)
    assert [row.values for row in segments.rows[:3]] == [(1.0, 1.0, 1.0)] * 3


def _write_instances(root: Path) -> None:
    annotations = [
        {"id": row, "image_id": 1, "category_id": category, "iscrowd": 0, "area": 16, "segmentation": _encoded(row)}
        for row, category in ((1, 9), (2, 4))
    ]
    images = [{"id": 1, "height": HEIGHT, "width": WIDTH, "file_name": "1.jpg"}]
    content = {"images": images, "annotations": annotations, "categories": _CATEGORIES}
    write_json(root / "annotations" / "instances_val.json", content)


def _encoded(number: int) -> dict[str, Any]:
    return {"size": [HEIGHT, WIDTH], "counts": rle.encode(label_map(1) == number).counts}


def _write_ids(path: Path, ids: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack([ids, 0 * ids, 0 * ids], axis=-1)).save(path)
