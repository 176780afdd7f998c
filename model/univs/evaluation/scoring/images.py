"""Scores of pictures: instances and panoptic segments of COCO, LVIS and ADE20K, classes of ADE20K and CamVid."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from univs import rle
from univs.data.formats.ade20k_segments import Ade20kSegments
from univs.data.formats.categories import Categories
from univs.data.formats.coco import CocoInstances, CocoPanoptic
from univs.data.formats.json_files import Json, read_json, understanding
from univs.data.formats.label_pictures import LabelPictures
from univs.data.formats.segmentations import to_rle
from univs.data.images import read_ids
from univs.errors import InputError
from univs.evaluation import panoptic, semantic
from univs.evaluation.federated import evaluate_federated
from univs.evaluation.instances import ScoredInstance, TrueInstance, evaluate_instances
from univs.evaluation.panoptic import PanopticMap, PanopticQuality, Segment
from univs.evaluation.predicting.stills import MappedPictures
from univs.evaluation.predicting.videos import frame_size
from univs.evaluation.scoring.predicted_maps import PredictedMaps
from univs.evaluation.scoring.table import ScoreRow, ScoreTable
from univs.evaluation.scoring.tracks import PRECISION_COLUMNS, precision_values


def score_coco_instances(source: CocoInstances, predictions: Path) -> ScoreTable:
    """Give AP and AR of COCO's results format, over classes and of each annotated class.

    Args:
        source: annotated pictures, those without annotation among them.
        predictions: a JSON list of image_id, category_id, segmentation, score.
    Raises:
        InputError: for predictions that are missing or malformed.
    """
    with understanding(source.annotation):
        truth = [
            TrueInstance(
                entry.image_id, int(each["category_id"]), mask, bool(each.get("iscrowd", 0)), float(each["area"])
            )
            for entry in source.entries
            for each in entry.annotations
            if (mask := to_rle(each["segmentation"], entry.size)) is not None
        ]
    sizes = {entry.image_id: entry.size for entry in source.entries}
    return _instances_table(_read_instances(predictions, sizes), truth, source.categories)


def score_ade20k_instances(source: Ade20kSegments, predictions: Path) -> ScoreTable:
    """Give AP and AR of COCO's results format for ADE20K, whose pictures are numbered from 1 in the order of names.

    Raises:
        InputError: for predictions that are missing or malformed.
    """
    truth, sizes = [], {}
    for item_index, image_id in enumerate(source.image_ids):
        for segment in source.segments(item_index):
            category_id = source.categories.category_ids[segment.category_id]
            truth.append(TrueInstance(image_id, category_id, rle.encode(segment.mask)))
        sizes[image_id] = frame_size(source, item_index)
    return _instances_table(_read_instances(predictions, sizes), truth, source.categories)


def score_lvis(source: CocoInstances, predictions: Path) -> ScoreTable:
    """Give AP and AR of LVIS: over classes, and over rare, common and frequent ones.

    Args:
        source: annotated pictures, those without annotation among them.
        predictions: a JSON list of image_id, category_id, segmentation, score.
    Raises:
        InputError: for files that are missing or malformed.
    """
    sizes = {entry.image_id: entry.size for entry in source.entries}
    figures = evaluate_federated(
        _read_instances(predictions, sizes), read_json(source.annotation, ("images", "annotations", "categories"))
    )
    return ScoreTable(tuple(figures), (ScoreRow("all", tuple(figures.values())),))


def score_coco_panoptic(source: CocoPanoptic, predictions: Path) -> ScoreTable:
    """Give PQ, SQ and RQ over all classes, things and stuff, and of each class that occurs.

    Args:
        source: annotated pictures.
        predictions: a folder with `pred.json` in the format of the annotation and `pan_pred/NAME.png`.
    Raises:
        InputError: for files that are missing or malformed.
    """
    rows = source.categories.rows

    def truth(item_index: int) -> PanopticMap:
        annotation = source.entries[item_index].annotations[0]
        return _panoptic_map(source.map_path(item_index), annotation["segments_info"], rows)

    return _panoptic_table(source, truth, predictions)


def score_ade20k_panoptic(source: Ade20kSegments, predictions: Path) -> ScoreTable:
    """Give PQ, SQ and RQ of ADE20K, with predictions as `score_coco_panoptic` takes them.

    Raises:
        InputError: for files that are missing or malformed.
    """

    def truth(item_index: int) -> PanopticMap:
        segments = source.segments(item_index)
        ids = np.zeros(frame_size(source, item_index), dtype=np.int64)
        for number, each in enumerate(segments, start=1):
            ids[each.mask] = number
        return PanopticMap(ids, tuple(Segment(n, each.category_id) for n, each in enumerate(segments, start=1)))

    return _panoptic_table(source, truth, predictions)


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


def _read_instances(predictions: Path, sizes: dict[int, tuple[int, int]]) -> list[ScoredInstance]:
    """Read a JSON list of results, of pictures with these (height, width)."""
    with understanding(predictions):
        return [
            ScoredInstance(int(each["image_id"]), int(each["category_id"]), float(each["score"]), mask)
            for each in _read_list(predictions)
            if (mask := to_rle(each["segmentation"], sizes[int(each["image_id"])])) is not None
        ]


def _instances_table(predicted: list[ScoredInstance], truth: list[TrueInstance], categories: Categories) -> ScoreTable:
    report = evaluate_instances(predicted, truth, categories.category_ids)
    annotated = {each.category_id for each in truth}
    rows = [ScoreRow("all", precision_values(report.all))]
    for category_id, name, each in zip(categories.category_ids, categories.names, report.classes, strict=True):
        if category_id in annotated:
            rows.append(ScoreRow(name, precision_values(each)))
    return ScoreTable(PRECISION_COLUMNS, tuple(rows))


def _panoptic_table(source: MappedPictures, truth: Callable[[int], PanopticMap], predictions: Path) -> ScoreTable:
    answers = read_json(predictions / "pred.json", ("annotations",))
    categories = source.categories
    with understanding(predictions / "pred.json"):
        by_image = {int(each["image_id"]): each for each in answers["annotations"]}
    total = panoptic.empty_tally(len(categories.names))
    for item_index, image_id in enumerate(source.image_ids):
        answer = by_image.get(image_id)
        if answer is None:
            raise InputError(f"expected picture {image_id} in {predictions / 'pred.json'}, got none; write all")
        path = predictions / "pan_pred" / str(answer.get("file_name"))
        predicted = _panoptic_map(path, answer.get("segments_info"), categories.rows)
        total = total + panoptic.tally(predicted, truth(item_index), len(categories.names))
    report = panoptic.summarize(total, categories.is_thing)
    table = [_quality("all", report.all), _quality("things", report.things), _quality("stuff", report.stuff)]
    table.extend(_quality(categories.names[row], each) for row, each in enumerate(report.classes) if each.num_classes)
    return ScoreTable(("PQ", "SQ", "RQ"), tuple(table))


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


def _panoptic_map(path: Path, segments_info: Any, rows: dict[int, int]) -> PanopticMap:
    """Read a picture of ids and what its file says of them (JSON, hence Any)."""
    try:
        ids = read_ids(path)
    except OSError as error:
        raise InputError(f"expected the id picture {path}, got {error!r}; write one per annotation") from error
    with understanding(path):
        segments = tuple(
            Segment(int(segment["id"]), rows[int(segment["category_id"])], bool(segment.get("iscrowd", 0)))
            for segment in segments_info
        )
    return PanopticMap(ids, segments)


def _quality(name: str, quality: PanopticQuality) -> ScoreRow:
    return ScoreRow(name, (quality.pq, quality.sq, quality.rq))
