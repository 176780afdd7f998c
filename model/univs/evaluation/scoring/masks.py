"""Scores of predicted object ids: DAVIS 2017, MOSE, YouTube-VOS, VIPOSeg; and of expressions."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from univs.data.formats.label_videos import NO_OBJECT, LabelVideo, LabelVideos
from univs.data.formats.viposeg import TargetKind
from univs.data.images import read_labels
from univs.errors import InputError
from univs.evaluation import objects, panoptic_targets, referring, seen_unseen
from univs.evaluation.objects import ObjectScore
from univs.evaluation.scoring.predicted_maps import PredictedMaps
from univs.evaluation.scoring.table import ScoreRow, ScoreTable
from univs.evaluation.semantic import LabelMap, check_shapes, nan_mean
from univs.evaluation.vos import score_clip, scored_frames


def score_objects(source: LabelVideos, predicted: PredictedMaps) -> ScoreTable:
    """Give J and F over objects, the first and the last frame of each video left out."""
    scores: list[ObjectScore] = []
    for video in source.videos:
        counted = scored_frames(len(video.image_paths))
        pairs = (pair for position, pair in _annotated(video, predicted) if position in counted)
        scores.extend(objects.score_objects(video.name, pairs, _object_ids(video)))
    return _objects_table(objects.summarize(scores))


def score_seen_unseen(source: LabelVideos, predicted: PredictedMaps, seen: frozenset[str]) -> ScoreTable:
    """Give J and F over objects of seen and of unseen classes, each from the frame after its first.

    Args:
        source: videos with classes.
        predicted: object ids.
        seen: names of the classes of the training split.
    """
    scores: list[seen_unseen.TargetScore] = []
    clips = []
    for video in source.videos:
        positions, frames = _split(_annotated(video, predicted))
        targets = [
            seen_unseen.Target(
                each.object_id,
                _place(positions, each.first_position),
                each.category_id < 0 or source.vocabulary[each.category_id] in seen,
            )
            for each in video.objects
        ]
        here = seen_unseen.score_targets(frames, targets)
        scores.extend(here)
        parts = _seen_unseen(seen_unseen.summarize(here))
        clips.append(ScoreRow(video.name, (nan_mean(parts), *parts)))  # of the groups that the video has
    report = seen_unseen.summarize(scores)
    rows = (ScoreRow("all", (report.overall, *_seen_unseen(report))),)
    return ScoreTable(("G", "J seen", "J unseen", "F seen", "F unseen"), rows, tuple(clips))


def score_panoptic_targets(
    source: LabelVideos, predicted: PredictedMaps, kind_of: Callable[[str, int], TargetKind]
) -> ScoreTable:
    """Give the eight figures of things and stuff, seen and unseen, mask and boundary IoU.

    Args:
        source: videos with classes.
        predicted: object ids.
        kind_of: says of a video's name and a class to which group it belongs.
    """
    tallies = []
    for video in source.videos:
        positions, frames = _split(_annotated(video, predicted))
        targets = []
        for each in video.objects:
            kind = kind_of(video.name, each.category_id)
            targets.append(
                panoptic_targets.PanopticTarget(
                    each.object_id, _place(positions, each.first_position), kind.is_thing, kind.is_seen
                )
            )
        tallies.append(panoptic_targets.tally(frames, targets))
    report = panoptic_targets.summarize(sum(tallies[1:], start=tallies[0]))
    clips = tuple(
        ScoreRow(video.name, _overall(panoptic_targets.summarize(each)))
        for video, each in zip(source.videos, tallies, strict=True)
    )
    rows = (
        ScoreRow("all", (report.overall, report.overall_mask, report.overall_boundary)),
        _group("things seen", report.thing_seen_mask, report.thing_seen_boundary),
        _group("things unseen", report.thing_unseen_mask, report.thing_unseen_boundary),
        _group("stuff seen", report.stuff_seen_mask, report.stuff_seen_boundary),
        _group("stuff unseen", report.stuff_unseen_mask, report.stuff_unseen_boundary),
    )
    return ScoreTable(("mean", "mask IoU", "boundary IoU"), rows, clips)


def score_expressions(source: LabelVideos, predicted: PredictedMaps) -> ScoreTable:
    """Give J and F over expressions and of each, all frames.

    Predictions lie in VIDEO/EXPRESSION, any value but 0 is the object.
    """
    scores = []
    for video in source.videos:
        for each in video.objects:
            folder = f"{video.name}/{each.expression_id}"
            if each.object_id == NO_OBJECT:
                raise InputError(f"expected an annotated split, got one that does not say which object {folder} names")
            pairs = [
                (prediction != 0, truth == each.object_id)
                for _, (prediction, truth) in _annotated(video, predicted, folder)
            ]
            scores.append(score_clip(folder, pairs))
    report = referring.over_expressions(scores)
    rows = (ScoreRow("all", (report.mean, report.region, report.boundary)),)
    clips = tuple(ScoreRow(each.clip, (each.mean, each.region, each.boundary)) for each in scores)
    return ScoreTable(("J&F", "J", "F"), rows, clips)


def score_annotators(sources: Sequence[LabelVideos], predicted: Sequence[PredictedMaps]) -> ScoreTable:
    """Give J and F over annotators: their objects by the unsupervised protocol, all frames."""
    reports = []
    for source, maps in zip(sources, predicted, strict=True):
        scores: list[ObjectScore] = []
        for video in source.videos:
            _, frames = _split(_annotated(video, maps))
            proposal_ids = sorted({int(value) for prediction, _ in frames for value in np.unique(prediction) if value})
            scores.extend(objects.score_proposals(video.name, frames, _object_ids(video), proposal_ids))
        reports.append(objects.summarize(scores))
    total = referring.over_annotators(reports)
    rows = [ScoreRow("all", (total.mean, total.region, total.boundary))]
    for number, report in enumerate(reports, start=1):
        rows.append(ScoreRow(f"annotator {number}", (report.mean, report.region.mean, report.boundary.mean)))
    clips = []
    for clip in dict.fromkeys(each.clip for each in reports[0].objects):
        of_clip = [objects.summarize([each for each in report.objects if each.clip == clip]) for report in reports]
        here = referring.over_annotators(of_clip)
        clips.append(ScoreRow(clip, (here.mean, here.region, here.boundary)))
    return ScoreTable(("J&F", "J", "F"), tuple(rows), tuple(clips))


def _annotated(
    video: LabelVideo, predicted: PredictedMaps, folder: str | None = None
) -> Iterator[tuple[int, tuple[LabelMap, LabelMap]]]:
    """Give position, prediction and truth of every annotated frame."""
    for position, (frame, mask_path) in enumerate(zip(video.frame_names, video.mask_paths, strict=True)):
        if mask_path is None:
            continue
        truth = read_labels(mask_path).numpy()
        prediction = predicted.read(folder or video.name, frame)
        check_shapes(prediction, truth)
        yield position, (prediction, truth)


def _split(
    frames: Iterator[tuple[int, tuple[LabelMap, LabelMap]]],
) -> tuple[list[int], list[tuple[LabelMap, LabelMap]]]:
    every = list(frames)
    return [position for position, _ in every], [pair for _, pair in every]


def _place(positions: Sequence[int], position: int) -> int:
    """Say where a frame stands among the annotated ones."""
    return sum(each < position for each in positions)


def _object_ids(video: LabelVideo) -> tuple[int, ...]:
    return tuple(each.object_id for each in video.objects)


def _seen_unseen(report: seen_unseen.SeenUnseenReport) -> tuple[float, ...]:
    return (report.region_seen, report.region_unseen, report.boundary_seen, report.boundary_unseen)


def _overall(report: panoptic_targets.PanopticTargetReport) -> tuple[float, ...]:
    """Give the means over the groups that a video has."""
    masks = nan_mean(
        [report.thing_seen_mask, report.thing_unseen_mask, report.stuff_seen_mask, report.stuff_unseen_mask]
    )
    boundaries = nan_mean(
        [
            report.thing_seen_boundary,
            report.thing_unseen_boundary,
            report.stuff_seen_boundary,
            report.stuff_unseen_boundary,
        ]
    )
    return ((masks + boundaries) / 2, masks, boundaries)


def _group(name: str, mask: float, boundary: float) -> ScoreRow:
    return ScoreRow(name, ((mask + boundary) / 2, mask, boundary))


def _objects_table(report: objects.ObjectsReport) -> ScoreTable:
    def row(name: str, region: objects.Course, boundary: objects.Course) -> ScoreRow:
        mean = (region.mean + boundary.mean) / 2
        return ScoreRow(
            name,
            (mean, region.mean, region.recall, region.decay, boundary.mean, boundary.recall, boundary.decay),
        )

    rows = [row("all", report.region, report.boundary)]
    rows.extend(row(f"{each.clip}_{each.object_id}", each.region, each.boundary) for each in report.objects)
    clips = []
    for clip in dict.fromkeys(each.clip for each in report.objects):
        here = objects.summarize([each for each in report.objects if each.clip == clip])
        clips.append(row(clip, here.region, here.boundary))
    columns = ("J&F", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay")
    return ScoreTable(columns, tuple(rows), tuple(clips))
