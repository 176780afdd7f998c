import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from univs import rle
from univs.errors import InputError
from univs.evaluation.instances import ScoredInstance, TrueInstance
from univs.evaluation.precision import IMAGE_AREAS, AreaRanges
from univs.evaluation.video_instances import Masks, ScoredTrack, TrueTrack, evaluate_tracks, mean_area, track_iou
from univs.rle import Rle

from .shapes import HEIGHT, WIDTH, rectangle
from .test_instances import by_pycocotools, figures, random_instances

_SEEDS = st.integers(0, 2**32 - 1)


def test_iou_of_tracks_sums_over_frames_before_it_divides() -> None:
    """Frame 0: 40 of 60 pixels in common. Frame 1: only the annotation, 50. Frame 2: only the prediction, 25."""
    truth = (rectangle(0, 0, 5, 10), rectangle(0, 0, 5, 10), None)
    predicted = (rectangle(1, 0, 5, 10), None, rectangle(10, 10, 5, 5))
    assert track_iou([predicted], [truth])[0, 0] == pytest.approx(40 / (60 + 50 + 25))
    assert track_iou([(None, None, None)], [(None, None, None)])[0, 0] == 0.0
    assert mean_area(truth) == 50.0
    assert mean_area((None,)) == 0.0


def test_precision_of_a_case_worked_by_hand() -> None:
    """Two tracks of 2 frames; predictions, best first: IoU 80/100 with the first, nothing, the second exactly.

    Up to threshold 0.8 (7 of 10): hits at ranks 1 and 3, so precision 1 for recall to 0.5 (51 points) and 2/3
    beyond (50 points). Above: a hit at rank 3 only, recall 0.5, precision 1/3 (51 points).
    """
    first, second = rectangle(0, 0, 5, 10), rectangle(0, 15, 5, 10)
    truth = [TrueTrack(1, 4, (first, first)), TrueTrack(1, 4, (second, None))]
    predicted = [
        ScoredTrack(1, 4, 0.9, (first, rectangle(0, 0, 3, 10))),
        ScoredTrack(1, 4, 0.8, (rectangle(12, 0, 4, 4), None)),
        ScoredTrack(1, 4, 0.7, (second, None)),
    ]
    report = evaluate_tracks(predicted, truth, [4])
    low, high = (51 + 50 * 2 / 3) / 101, 51 / 3 / 101
    assert report.all.ap50 == pytest.approx(low)
    assert report.all.ap == pytest.approx(0.7 * low + 0.3 * high)
    assert report.all.ar1 == pytest.approx(0.7 * 0.5)
    assert report.all.ar10 == pytest.approx(0.7 * 1.0 + 0.3 * 0.5)
    assert report.all == report.classes[0] or math.isnan(report.all.ap_large)


def test_crowds_forgive_and_sizes_divide() -> None:
    """A crowd takes both predictions that lie on it; the one object that counts is large and found."""
    crowd, large = rectangle(0, 0, 5, 5), rectangle(8, 8, 10, 20)
    truth = [TrueTrack(1, 1, (crowd,), is_crowd=True), TrueTrack(1, 1, (large,))]
    predicted = [ScoredTrack(1, 1, score, (crowd,)) for score in (0.9, 0.8)] + [ScoredTrack(1, 1, 0.5, (large,))]
    all_found = evaluate_tracks(predicted, truth, [1], AreaRanges(50.0, 150.0)).all
    assert (all_found.ap, all_found.ap_large, all_found.ar100) == pytest.approx((1.0, 1.0, 1.0))
    assert math.isnan(all_found.ap_small)
    assert all_found.ar1 == 0.0  # the one prediction that may be given lies on the crowd


@settings(max_examples=25, deadline=None)
@given(_SEEDS)
def test_videos_of_one_frame_score_as_pictures_do(seed: int) -> None:
    """Crowds are left out: their IoU differs between the evaluators of pictures and of videos."""
    scored, annotated = random_instances(seed)
    annotated = [dataclasses.replace(each, is_crowd=False) for each in annotated]
    predicted = [ScoredTrack(each.image_id, each.category_id, each.score, (each.mask,)) for each in scored]
    truth = [TrueTrack(each.image_id, each.category_id, (each.mask,)) for each in annotated]
    report = evaluate_tracks(predicted, truth, (7, 3), IMAGE_AREAS)
    assert figures(report.all) == pytest.approx(by_pycocotools(scored, annotated, (7, 3)), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(_SEEDS)
def test_videos_score_as_pictures_of_all_frames_one_below_the_other(seed: int) -> None:
    """Intersections and unions summed over frames are those of the frames laid in one picture.

    Sizes are not compared: that of a track is its mean over frames, that of the picture the sum.
    """
    scored, annotated = random_instances(seed)
    annotated = [dataclasses.replace(each, is_crowd=False) for each in annotated]
    generator = np.random.default_rng(seed)
    truth = [TrueTrack(each.image_id, each.category_id, _moving(each.mask, generator)) for each in annotated]
    predicted = [
        ScoredTrack(each.image_id, each.category_id, each.score, _moving(each.mask, generator)) for each in scored
    ]
    tall_truth = [TrueInstance(track.video_id, track.category_id, _laid_out(track.masks)) for track in truth]
    tall_predicted = [
        ScoredInstance(track.video_id, track.category_id, track.score, _laid_out(track.masks)) for track in predicted
    ]
    ours = figures(evaluate_tracks(predicted, truth, (7, 3)).all)
    expected = by_pycocotools(tall_predicted, tall_truth, (7, 3))
    for place in (0, 1, 2, 6, 7, 8):  # AP, AP50, AP75, AR1, AR10, AR100
        assert ours[place] == pytest.approx(expected[place], abs=1e-9)


def _moving(mask: Rle, generator: np.random.Generator) -> Masks:
    """Give a track of three frames: the mask, the mask moved by a pixel or two, and perhaps nothing."""
    moved = np.roll(rle.decode(mask), int(generator.integers(0, 3)), axis=1)
    return (mask, rle.encode(np.ascontiguousarray(moved)), None if generator.random() < 0.5 else mask)


def _laid_out(masks: Masks) -> Rle:
    frames = [np.zeros((HEIGHT, WIDTH), dtype=np.bool_) if mask is None else rle.decode(mask) for mask in masks]
    return rle.encode(np.concatenate(frames))


@settings(max_examples=20, deadline=None)
@given(_SEEDS)
def test_perfect_prediction_gives_one_and_an_unmatched_one_never_helps(seed: int) -> None:
    scored, annotated = random_instances(seed)
    truth = [TrueTrack(each.image_id, each.category_id, (each.mask, None)) for each in annotated]
    perfect = [
        ScoredTrack(track.video_id, track.category_id, 1.0 - number / 100, track.masks)
        for number, track in enumerate(truth)
    ]
    assert evaluate_tracks(perfect, truth, (3, 7)).all.ap == pytest.approx(1.0)
    predicted = [ScoredTrack(each.image_id, each.category_id, each.score, (each.mask, None)) for each in scored]
    score = float(np.random.default_rng(seed).random())
    added = ScoredTrack(2, 3, score, (None, rectangle(0, 0, 3, 3)))
    before, after = evaluate_tracks(predicted, truth, (3, 7)), evaluate_tracks([*predicted, added], truth, (3, 7))
    assert after.all.ap <= before.all.ap + 1e-12


def test_tracks_of_one_video_have_one_length_and_one_size() -> None:
    mask = rectangle(0, 0, 4, 4)
    with pytest.raises(InputError, match="tracks of one video"):
        track_iou([(mask, mask)], [(mask,)])
    with pytest.raises(InputError, match="tracks of one video"):
        track_iou([(rle.encode(np.ones((3, 3), dtype=np.bool_)),)], [(mask,)])
