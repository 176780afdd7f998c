"""Scores of predicted tracks: YouTube-VIS, OVIS and BURST."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from univs.data.formats.burst import read_burst
from univs.data.formats.track_videos import TrackVideo, TrackVideos
from univs.errors import InputError
from univs.evaluation.class_tracking import AnnotatedVideo, Detection, summarize_classes, tally_classes
from univs.evaluation.hota import HotaReport, HotaTally
from univs.evaluation.precision import Precision
from univs.evaluation.scoring.table import ScoreRow, ScoreTable
from univs.evaluation.submissions.tracks import read_tracks
from univs.evaluation.video_instances import TrueTrack, evaluate_tracks

PRECISION_COLUMNS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def score_tracks(source: TrackVideos, predictions: Path) -> ScoreTable:
    """Give AP and AR of `results.json` (alone or in a zip), over classes and of each annotated class.

    Raises:
        InputError: for a split without annotations, or predictions that do not fit it.
    """
    truth = [
        TrueTrack(video.video_id, source.category_ids[track.category_id], track.masks, track.is_crowd)
        for video in source.videos
        for track in video.tracks
    ]
    if not truth:
        raise InputError(
            f"expected a split with annotations, got {source.name}, which keeps them secret; submit the file"
        )
    lengths = {video.video_id: len(video.image_paths) for video in source.videos}
    predicted = read_tracks(predictions)
    for track in predicted:
        if lengths.get(track.video_id) != len(track.masks):
            raise InputError(
                f"expected {lengths.get(track.video_id, 'no')} masks for video {track.video_id} of {source.name}, got "
                f"{len(track.masks)}; give one mask or null per annotated frame"
            )
    report = evaluate_tracks(predicted, truth, source.category_ids)
    annotated = {track.category_id for track in truth}
    rows = [ScoreRow("all", precision_values(report.all))]
    for category_id, name, each in zip(source.category_ids, source.vocabulary, report.classes, strict=True):
        if category_id in annotated:
            rows.append(ScoreRow(name, precision_values(each)))
    clips = []
    for video in source.videos:
        here = [track for track in truth if track.video_id == video.video_id]
        if here:
            answers = [track for track in predicted if track.video_id == video.video_id]
            found = evaluate_tracks(answers, here, source.category_ids)
            clips.append(ScoreRow(video.name, precision_values(found.all)))
    return ScoreTable(PRECISION_COLUMNS, tuple(rows), tuple(clips))


def score_class_tracking(
    source: TrackVideos, predictions: Path, common_ids: frozenset[int], is_exemplar_guided: bool = True
) -> ScoreTable:
    """Give HOTA over all, common and uncommon classes, and of each annotated class.

    Args:
        source: annotated videos.
        predictions: a JSON in the format of the annotation; frames that are not annotated are left out.
        common_ids: ids of the classes called common.
        is_exemplar_guided: whether first masks were given.
    Raises:
        InputError: for predictions that do not fit the annotation.
    """
    predicted = read_burst(predictions, Path(), "predictions")
    if (predicted.vocabulary, predicted.category_ids) != (source.vocabulary, source.category_ids):
        raise InputError(f"expected the categories of {source.name} in {predictions}, got others; copy its list")
    by_id = {video.video_id: video for video in predicted.videos}
    common_rows = frozenset(row for row, number in enumerate(source.category_ids) if number in common_ids)
    totals: dict[int, HotaTally] = {}
    clips = []
    for video in source.videos:
        annotation = AnnotatedVideo(
            tuple(_detections(video, position) for position in range(len(video.image_paths))),
            video.absent_categories,
            video.incomplete_categories,
        )
        frames = list(_predicted_frames(video, by_id.get(video.video_id)))
        rows = range(len(source.vocabulary))
        here = dict(tally_classes(frames, annotation, rows, is_exemplar_guided))
        for row, total in here.items():
            totals[row] = totals[row] + total if row in totals else total
        clips.append(_hota_row(video.name, summarize_classes(here, common_rows).all))
    report = summarize_classes(totals, common_rows)
    table = [
        _hota_row("all", report.all),
        _hota_row("common", report.common),
        _hota_row("uncommon", report.uncommon),
        *(_hota_row(source.vocabulary[row], each) for row, each in report.classes.items()),
    ]
    return ScoreTable(("HOTA", "DetA", "AssA", "LocA"), tuple(table), tuple(clips))


def _predicted_frames(video: TrackVideo, prediction: TrackVideo | None) -> Iterator[tuple[Detection, ...]]:
    """Give what is predicted in each annotated frame; nothing where there is no prediction."""
    position_of = {} if prediction is None else {path.name: i for i, path in enumerate(prediction.image_paths)}
    for path in video.image_paths:
        position = position_of.get(path.name)
        yield () if prediction is None or position is None else _detections(prediction, position)


def _detections(video: TrackVideo, position: int) -> tuple[Detection, ...]:
    return tuple(
        Detection(track.track_id, track.category_id, mask)
        for track in video.tracks
        if (mask := track.masks[position]) is not None
    )


def precision_values(precision: Precision) -> tuple[float, ...]:
    """Give the figures in the order of PRECISION_COLUMNS."""
    return tuple(float(getattr(precision, field.name)) for field in fields(precision))


def _hota_row(name: str, report: HotaReport) -> ScoreRow:
    return ScoreRow(name, (report.hota, report.detection, report.association, report.localization))
