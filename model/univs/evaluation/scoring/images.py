"""Scores of pictures: COCO instances and panoptic segments, classes of ADE20K and CamVid."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from univs.data.formats.json_files import Json, first_existing, read_json, understanding
from univs.data.formats.label_pictures import LabelPictures
from univs.data.formats.segmentations import to_rle
from univs.errors import InputError
from univs.evaluation import panoptic, semantic
from univs.evaluation.instances import ScoredInstance, TrueInstance, evaluate_instances
from univs.evaluation.panoptic import PanopticMap, PanopticQuality, Segment
from univs.evaluation.scoring.predicted_maps import PredictedMaps
from univs.evaluation.scoring.table import ScoreRow, ScoreTable
from univs.evaluation.scoring.tracks import PRECISION_COLUMNS, precision_values


def score_coco_instances(root: Path, split: str, predictions: Path) -> ScoreTable:
    """Give AP and AR of COCO's results format, over classes and of each annotated class.

    Args:
        root: holds `annotations/instances_SPLIT.json`, or `instances_SPLIT.json`.
        split: such as "val2017".
        predictions: a JSON list of image_id, category_id, segmentation, score.
    Raises:
        InputError: for files that are missing or malformed.
    """
    name = f"instances_{split}.json"
    annotation = first_existing((root / "annotations" / name, root / name))
    content = read_json(annotation, ("images", "annotations", "categories"))
    with understanding(annotation):
        sizes = {int(image["id"]): (int(image["height"]), int(image["width"])) for image in content["images"]}
        names = {int(category["id"]): str(category["name"]) for category in content["categories"]}
        truth = [
            TrueInstance(int(each["image_id"]), int(each["category_id"]), mask, bool(each["iscrowd"]), each["area"])
            for each in content["annotations"]
            if (mask := to_rle(each["segmentation"], sizes[int(each["image_id"])])) is not None
        ]
    with understanding(predictions):
        predicted = [
            ScoredInstance(int(each["image_id"]), int(each["category_id"]), float(each["score"]), mask)
            for each in _read_list(predictions)
            if (mask := to_rle(each["segmentation"], sizes[int(each["image_id"])])) is not None
        ]
    category_ids = sorted(names)
    report = evaluate_instances(predicted, truth, category_ids)
    annotated = {each.category_id for each in truth}
    rows = [ScoreRow("all", precision_values(report.all))]
    for category_id, each in zip(category_ids, report.classes, strict=True):
        if category_id in annotated:
            rows.append(ScoreRow(names[category_id], precision_values(each)))
    return ScoreTable(PRECISION_COLUMNS, tuple(rows))


def score_coco_panoptic(root: Path, split: str, predictions: Path) -> ScoreTable:
    """Give PQ, SQ and RQ over all classes, things and stuff, and of each class that occurs.

    Args:
        root: holds `annotations/panoptic_SPLIT.json` and the id pictures in `annotations/panoptic_SPLIT/`, or both
            without `annotations`.
        split: such as "val2017".
        predictions: a folder with `pred.json` in the format of the annotation and `pan_pred/NAME.png`.
    Raises:
        InputError: for files that are missing or malformed.
    """
    name = f"panoptic_{split}"
    annotation = first_existing((root / "annotations" / f"{name}.json", root / f"{name}.json"))
    maps = first_existing((root / "annotations" / name, root / name))
    content = read_json(annotation, ("annotations", "categories"))
    answers = read_json(predictions / "pred.json", ("annotations",))
    with understanding(annotation):
        categories = sorted(content["categories"], key=lambda category: int(category["id"]))
        rows = {int(category["id"]): row for row, category in enumerate(categories)}
        is_thing = tuple(bool(category["isthing"]) for category in categories)
        labels = tuple(str(category["name"]) for category in categories)
    total = panoptic.empty_tally(len(labels))
    by_image = {str(each["image_id"]): each for each in answers["annotations"]}
    for each in content["annotations"]:
        answer = by_image.get(str(each["image_id"]))
        if answer is None:
            raise InputError(f"expected picture {each['image_id']} in {predictions / 'pred.json'}, got none; write all")
        truth = _panoptic_map(maps, each, rows)
        total = total + panoptic.tally(_panoptic_map(predictions / "pan_pred", answer, rows), truth, len(labels))
    report = panoptic.summarize(total, is_thing)
    table = [_quality("all", report.all), _quality("things", report.things), _quality("stuff", report.stuff)]
    table.extend(_quality(labels[row], each) for row, each in enumerate(report.classes) if each.num_classes)
    return ScoreTable(("PQ", "SQ", "RQ"), tuple(table))


def score_label_pictures(source: LabelPictures, predicted: PredictedMaps) -> ScoreTable:
    """Give mIoU, its weighted form and accuracies, and IoU of each class that occurs.

    Args:
        source: annotated pictures.
        predicted: `SPLIT/NAME.png`, values as in the annotation.
    Raises:
        InputError: for files that are missing or of another size.
    """
    num_classes = len(source.vocabulary)
    counts = np.zeros((num_classes, num_classes + 1), dtype=np.int64)
    for item_index in range(len(source)):
        values = predicted.read(source.folder, source.frame_name(item_index))
        counts += semantic.confusion(source.code.decode(values), source.read_classes(item_index), num_classes)
    report = semantic.summarize(counts)
    head = (report.mean_iou, report.frequency_weighted_iou, report.mean_accuracy, report.pixel_accuracy)
    nothing = (float("nan"),) * (len(head) - 1)
    rows = [
        ScoreRow(source.vocabulary[row], (iou, *nothing))
        for row, iou in enumerate(report.class_iou)
        if not np.isnan(iou)
    ]
    return ScoreTable(("mIoU", "fwIoU", "mAcc", "aAcc"), (ScoreRow("all", head), *rows))


def _read_list(path: Path) -> list[Json]:
    """Read a JSON list.

    Raises:
        InputError: for a file that is missing, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"expected {path} to be a JSON list of results, got {error!r}; write it again") from error
    if not isinstance(content, list):
        raise InputError(f"expected {path} to be a JSON list of results, got {type(content).__name__}")
    return content


def _panoptic_map(folder: Path, each: Json, rows: dict[int, int]) -> PanopticMap:
    path = folder / str(each["file_name"])
    try:
        with Image.open(path) as image:
            colours = np.array(image.convert("RGB")).astype(np.int64)
    except OSError as error:
        raise InputError(f"expected the id picture {path}, got {error!r}; write one per annotation") from error
    ids: npt.NDArray[np.int64] = colours @ np.array([1, 256, 256 * 256], dtype=np.int64)
    with understanding(path):
        segments = tuple(
            Segment(int(segment["id"]), rows[int(segment["category_id"])], bool(segment.get("iscrowd", 0)))
            for segment in each["segments_info"]
        )
    return PanopticMap(ids, segments)


def _quality(name: str, quality: PanopticQuality) -> ScoreRow:
    return ScoreRow(name, (quality.pq, quality.sq, quality.rq))
