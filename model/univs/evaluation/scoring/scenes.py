"""Scores of whole scenes: panoptic segments of VIPSeg, classes of VSPW."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from univs.data.formats.json_files import Json, read_json, understanding
from univs.data.formats.vipseg import PanopticVideo, VipSeg
from univs.data.formats.vspw import Vspw
from univs.data.images import read_ids
from univs.errors import InputError
from univs.evaluation import semantic, tracking_quality, video_panoptic
from univs.evaluation.consistency import OFFICIAL_WINDOWS, mean_consistency, window_consistencies
from univs.evaluation.panoptic import PanopticMap, PanopticTally, Segment, empty_tally
from univs.evaluation.scoring.predicted_maps import PredictedMaps
from univs.evaluation.scoring.table import ScoreRow, ScoreTable
from univs.evaluation.tracking_quality import TrackingTally


def score_panoptic(source: VipSeg, predictions: Path) -> ScoreTable:
    """Give VPQ, STQ and their parts, and VPQ of each class that occurs.

    Args:
        source: annotated videos.
        predictions: a folder with `pred.json` and `pan_pred/VIDEO/FRAME.png`, as the official evaluator takes it:
            `annotations` lists, for each video, `segments_info` of its frames.
    Raises:
        InputError: for predictions that are missing or do not fit the annotation.
    """
    path = predictions / "pred.json"
    content = read_json(path, ("annotations",))
    with understanding(path):
        annotations = {str(each["video_id"]): each["annotations"] for each in content["annotations"]}
        rows = {category_id: row for row, category_id in enumerate(source.category_ids)}
        segments = {name: _segments(frames, rows) for name, frames in annotations.items()}
    windows = video_panoptic.OFFICIAL_WINDOWS
    num_classes = len(source.vocabulary)
    totals = tuple(empty_tally(num_classes) for _ in windows)
    tracked: TrackingTally | None = None
    clips = []
    for item_index, video in enumerate(source.videos):
        if video.name not in segments:
            raise InputError(f"expected video {video.name!r} in {path}, got none; write every video of the split")
        predicted = PanopticMap(_predicted_ids(predictions, video), segments[video.name])
        truth = _truth(source, item_index)
        here = video_panoptic.window_tallies(predicted, truth, num_classes, windows)
        totals = _added(totals, here)
        quality = tracking_quality.tally(predicted, truth, source.is_thing)
        tracked = quality if tracked is None else tracked + quality
        clips.append(ScoreRow(video.name, _panoptic_figures(here, quality, source.is_thing)))
    if tracked is None:
        raise InputError(f"expected at least one video in {source.name}, got none")
    vpq = video_panoptic.summarize_windows(totals, source.is_thing)
    nothing = (float("nan"),) * (len(windows) + 5)
    columns = ("VPQ", "VPQ things", "VPQ stuff", *(f"VPQ{window}" for window in windows), "STQ", "SQ", "AQ")
    table = [ScoreRow("all", _panoptic_figures(totals, tracked, source.is_thing))]
    for row, value in enumerate(vpq.classes):
        if not np.isnan(value):
            table.append(ScoreRow(source.vocabulary[row], (value, *nothing)))
    return ScoreTable(columns, tuple(table), tuple(clips))


def score_classes(source: Vspw, predicted: PredictedMaps) -> ScoreTable:
    """Give mIoU, its weighted form, accuracy, mVC8 and mVC16, and IoU of each class that occurs.

    Args:
        source: annotated videos.
        predicted: values as in the annotation: 0 void, class K as K + 1.
    Raises:
        InputError: for predictions that are missing or of another size.
    """
    num_classes = len(source.vocabulary)
    counts = np.zeros((num_classes, num_classes + 1), dtype=np.int64)
    consistencies: list[list[npt.NDArray[np.float64]]] = [[] for _ in OFFICIAL_WINDOWS]
    clips = []
    for item_index, video in enumerate(source.videos):
        positions = range(source.num_frames(item_index))
        truth = np.stack([source.read_classes(item_index, position) for position in positions])
        maps = [predicted.read(video.name, path.stem) - 1 for path in video.image_paths]
        here = np.zeros_like(counts)
        for prediction, annotation in zip(maps, truth, strict=True):
            here += semantic.confusion(prediction, annotation, num_classes)
        still = [window_consistencies(np.stack(maps), truth, window) for window in OFFICIAL_WINDOWS]
        counts += here
        for values, each in zip(consistencies, still, strict=True):
            values.append(each)
        clips.append(ScoreRow(video.name, (*_class_figures(here), *(mean_consistency([each]) for each in still))))
    report = semantic.summarize(counts)
    head = ScoreRow("all", (*_class_figures(counts), *(mean_consistency(values) for values in consistencies)))
    nothing = (float("nan"),) * (len(head.values) - 1)
    table = [
        ScoreRow(source.vocabulary[row], (iou, *nothing))
        for row, iou in enumerate(report.class_iou)
        if not np.isnan(iou)
    ]
    columns = ("mIoU", "fwIoU", "mAcc", "aAcc", *(f"mVC{window}" for window in OFFICIAL_WINDOWS))
    return ScoreTable(columns, (head, *table), tuple(clips))


def _panoptic_figures(
    tallies: tuple[PanopticTally, ...], tracked: TrackingTally, is_thing: tuple[bool, ...]
) -> tuple[float, ...]:
    """Give VPQ and STQ with their parts."""
    vpq = video_panoptic.summarize_windows(tallies, is_thing)
    stq = tracking_quality.summarize(tracked)
    by_window = (report.all.pq for report in vpq.windows)
    return (vpq.vpq, vpq.things, vpq.stuff, *by_window, stq.stq, stq.segmentation, stq.association)


def _class_figures(counts: npt.NDArray[np.int64]) -> tuple[float, ...]:
    """Give mIoU, its weighted form and accuracies."""
    report = semantic.summarize(counts)
    return (report.mean_iou, report.frequency_weighted_iou, report.mean_accuracy, report.pixel_accuracy)


def _truth(source: VipSeg, item_index: int) -> PanopticMap:
    ids = np.stack([source.read_ids(item_index, position) for position in range(source.num_frames(item_index))])
    segments = source.videos[item_index].segments
    return PanopticMap(ids, tuple(Segment(each.segment_id, each.category_id, each.is_crowd) for each in segments))


def _segments(frames: list[Json], rows: dict[int, int]) -> tuple[Segment, ...]:
    found = {
        int(each["id"]): Segment(int(each["id"]), rows[int(each["category_id"])])
        for frame in frames
        for each in frame["segments_info"]
    }
    return tuple(found[segment_id] for segment_id in sorted(found))


def _predicted_ids(predictions: Path, video: PanopticVideo) -> npt.NDArray[np.int64]:
    frames = []
    for path in video.map_paths:
        name = predictions / "pan_pred" / video.name / path.name
        try:
            frames.append(read_ids(name))
        except OSError as error:
            raise InputError(f"expected the prediction {name}, got {error!r}; write every frame") from error
    return np.stack(frames)


def _added(totals: tuple[PanopticTally, ...], more: tuple[PanopticTally, ...]) -> tuple[PanopticTally, ...]:
    return tuple(total + each for total, each in zip(totals, more, strict=True))
