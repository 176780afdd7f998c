"""Video instance segmentation: AP and AR of tracks, by spatio-temporal IoU.

Source: Yang et al., "Video Instance Segmentation", ICCV 2019 (YouTube-VIS; OVIS takes the same figures).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from hotcoco import mask as library

from univs import rle
from univs.errors import InputError
from univs.evaluation.precision import VIDEO_AREAS, AreaRanges, Candidates, Floats, InstanceReport, evaluate_classes
from univs.rle import Rle

Masks = tuple[Rle | None, ...]  # one per frame of the video; None where the object does not show


@dataclass(frozen=True, slots=True)
class TrueTrack:
    """An annotated object of a video."""

    video_id: int
    category_id: int
    masks: Masks
    is_crowd: bool = False  # ignored: no miss when it is not found, no false alarm when it is


@dataclass(frozen=True, slots=True)
class ScoredTrack:
    """A predicted object of a video."""

    video_id: int
    category_id: int
    score: float
    masks: Masks


def evaluate_tracks(
    predicted: Iterable[ScoredTrack],
    truth: Iterable[TrueTrack],
    category_ids: Sequence[int],
    areas: AreaRanges = VIDEO_AREAS,
) -> InstanceReport:
    """Give AP and AR over classes and of each class.

    The size of a track is its mean area over the frames in which it shows. A crowd's IoU is an ordinary IoU, as in
    the evaluator of YouTube-VIS.

    Args:
        predicted: tracks; per video and class the 100 of best score count.
        truth: annotated tracks.
        category_ids: classes to report, in this order; tracks of other classes are left out.
        areas: what is small, medium and large.
    Raises:
        InputError: when tracks of one video differ in their number of frames or in the size of a frame.
    """
    predicted_by_place: dict[tuple[int, int], list[ScoredTrack]] = defaultdict(list)
    true_by_place: dict[tuple[int, int], list[TrueTrack]] = defaultdict(list)
    for track in predicted:
        predicted_by_place[track.category_id, track.video_id].append(track)
    for annotation in truth:
        true_by_place[annotation.category_id, annotation.video_id].append(annotation)
    places = sorted(predicted_by_place.keys() | true_by_place.keys())
    classes = [
        [_candidates(predicted_by_place[place], true_by_place[place]) for place in places if place[0] == category_id]
        for category_id in category_ids
    ]
    return evaluate_classes(classes, areas)


def track_iou(predicted: Sequence[Masks], truth: Sequence[Masks]) -> Floats:
    """Give spatio-temporal IoU: intersections over unions, each summed over frames: float64 [D, G].

    Raises:
        InputError: when tracks differ in their number of frames or in the size of a frame.
    """
    _check_frames([*predicted, *truth])
    shape = (len(predicted), len(truth))
    intersections, unions = np.zeros(shape), np.zeros(shape)
    num_frames = len(predicted[0]) if predicted and truth else 0
    for frame in range(num_frames):
        here, there = [masks[frame] for masks in predicted], [masks[frame] for masks in truth]
        predicted_areas, true_areas = _areas(here), _areas(there)
        sums = predicted_areas[:, None] + true_areas[None]
        both = _intersections(here, there, sums)
        intersections += both
        unions += sums - both
    return np.divide(intersections, unions, out=np.zeros(shape), where=unions > 0)


def mean_area(masks: Masks) -> float:
    """Give the mean area in pixels over the frames in which a track shows; 0 when it never does."""
    areas = [area for area in _areas(masks).tolist() if area]
    return float(np.mean(areas)) if areas else 0.0


def _candidates(predicted: list[ScoredTrack], truth: list[TrueTrack]) -> Candidates:
    return Candidates(
        scores=np.array([track.score for track in predicted], dtype=np.float64),
        areas=np.array([mean_area(track.masks) for track in predicted], dtype=np.float64),
        iou=track_iou([track.masks for track in predicted], [track.masks for track in truth]),
        true_areas=np.array([mean_area(track.masks) for track in truth], dtype=np.float64),
        is_crowd=np.array([track.is_crowd for track in truth], dtype=np.bool_),
    )


def _areas(masks: Sequence[Rle | None]) -> Floats:
    return np.array([0 if mask is None else rle.area(mask) for mask in masks], dtype=np.float64)


def _intersections(predicted: Sequence[Rle | None], truth: Sequence[Rle | None], sums: Floats) -> Floats:
    """Count common pixels of all pairs: [D, G].

    The library gives IoU = I / (S - I) with S the sum of the areas, so that I = S IoU / (1 + IoU); a whole number,
    which rounding restores exactly.
    """
    rows = [place for place, mask in enumerate(predicted) if mask is not None]
    columns = [place for place, mask in enumerate(truth) if mask is not None]
    common = np.zeros(sums.shape)
    if rows and columns:
        encoded = [[_encoded(mask) for mask in masks if mask is not None] for masks in (predicted, truth)]
        iou = np.asarray(library.iou(encoded[0], encoded[1], [False] * len(columns)), dtype=np.float64)
        common[np.ix_(rows, columns)] = np.round(sums[np.ix_(rows, columns)] * iou / (1 + iou))
    return common


def _encoded(mask: Rle) -> dict[str, object]:
    return {"size": list(mask.size), "counts": mask.counts}


def _check_frames(tracks: Sequence[Masks]) -> None:
    lengths = {len(masks) for masks in tracks}
    sizes = {mask.size for masks in tracks for mask in masks if mask is not None}
    if len(lengths) > 1 or len(sizes) > 1:
        raise InputError(
            f"expected tracks of one video to agree, got {sorted(lengths)} frames and sizes {sorted(sizes)}; "
            "give one mask or None per annotated frame, at the annotation's size"
        )
