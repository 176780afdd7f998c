"""Video instance segmentation: AP and AR of tracks, by spatio-temporal IoU.

Source: Yang et al., "Video Instance Segmentation", ICCV 2019 (YouTube-VIS; OVIS takes the same figures).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from univs.errors import InputError
from univs.evaluation.mask_iou import Floats, areas, intersections
from univs.evaluation.precision import VIDEO_AREAS, AreaRanges, Candidates, InstanceReport, evaluate_classes
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
    sizes: AreaRanges = VIDEO_AREAS,
) -> InstanceReport:
    """Give AP and AR over classes and of each class.

    The size of a track is its mean area over the frames in which it shows. A crowd's IoU is an ordinary IoU, as in
    the evaluator of YouTube-VIS.

    Args:
        predicted: tracks; per video and class the 100 of best score count.
        truth: annotated tracks.
        category_ids: classes to report, in this order; tracks of other classes are left out.
        sizes: what is small, medium and large.
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
    return evaluate_classes(classes, sizes)


def track_iou(predicted: Sequence[Masks], truth: Sequence[Masks]) -> Floats:
    """Give spatio-temporal IoU: intersections over unions, each summed over frames: float64 [D, G].

    Raises:
        InputError: when tracks differ in their number of frames or in the size of a frame.
    """
    _check_frames([*predicted, *truth])
    shape = (len(predicted), len(truth))
    common, unions = np.zeros(shape), np.zeros(shape)
    num_frames = len(predicted[0]) if predicted and truth else 0
    for frame in range(num_frames):
        here = [(row, mask) for row, masks in enumerate(predicted) if (mask := masks[frame]) is not None]
        there = [(column, mask) for column, masks in enumerate(truth) if (mask := masks[frame]) is not None]
        rows, columns = [row for row, _ in here], [column for column, _ in there]
        both = np.zeros(shape)
        both[np.ix_(rows, columns)] = intersections([mask for _, mask in here], [mask for _, mask in there])
        unions[rows] += areas([mask for _, mask in here])[:, None]
        unions[:, columns] += areas([mask for _, mask in there])
        common += both
    unions -= common
    return np.divide(common, unions, out=np.zeros(shape), where=unions > 0)


def mean_area(masks: Masks) -> float:
    """Give the mean area in pixels over the frames in which a track shows; 0 when it never does."""
    sizes = [area for area in areas([mask for mask in masks if mask is not None]).tolist() if area]
    return float(np.mean(sizes)) if sizes else 0.0


def _candidates(predicted: list[ScoredTrack], truth: list[TrueTrack]) -> Candidates:
    return Candidates(
        scores=np.array([track.score for track in predicted], dtype=np.float64),
        areas=np.array([mean_area(track.masks) for track in predicted], dtype=np.float64),
        iou=track_iou([track.masks for track in predicted], [track.masks for track in truth]),
        true_areas=np.array([mean_area(track.masks) for track in truth], dtype=np.float64),
        is_crowd=np.array([track.is_crowd for track in truth], dtype=np.bool_),
    )


def _check_frames(tracks: Sequence[Masks]) -> None:
    lengths = {len(masks) for masks in tracks}
    sizes = {mask.size for masks in tracks for mask in masks if mask is not None}
    if len(lengths) > 1 or len(sizes) > 1:
        raise InputError(
            f"expected tracks of one video to agree, got {sorted(lengths)} frames and sizes {sorted(sizes)}; "
            "give one mask or None per annotated frame, at the annotation's size"
        )
