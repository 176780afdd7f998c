"""Figures of one variant, by the segmenters that serve, on the videos of a world."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from univs import rle
from univs.data.sample import Picture, Source
from univs.evaluation.panoptic import PanopticMap, Segment
from univs.evaluation.predicting.videos import results_of
from univs.evaluation.tracking_quality import summarize as summarize_tracking
from univs.evaluation.tracking_quality import tally as tracking_tally
from univs.evaluation.video_instances import ScoredTrack, TrueTrack, evaluate_tracks
from univs.evaluation.video_panoptic import summarize_windows, window_tallies
from univs.evaluation.vos import Mask, score_frame
from univs.inference.entities.options import Answer, DetectionOptions, EntityOptions, Tracker
from univs.inference.entities.segmenter import EntitySegmenter
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.options import InferenceOptions, Isolation, paper
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.rle import Rle
from univs.training.ablations.query_objects import follow_by_queries
from univs.training.ablations.world import World
from univs.training.recipes.ablations import Figure, Variant
from univs.types import FrameResult, MaskPrompt, RankedEntity, TextPrompt
from univs.vocabularies import Vocabulary

SHORT_SIDE_PX = 64
_FOUND_BY_CATEGORY = {Figure.TRACKS, Figure.PANOPTIC, Figure.ASSOCIATION}


def inference_options() -> InferenceOptions:
    """Run objects together, as published, and doubt little: networks of minutes are sure of nothing."""
    return replace(
        paper(SHORT_SIDE_PX),
        isolation=Isolation.JOINT,
        consistency_threshold=0.0,
        presence_threshold=0.0,
        minimum_quality=0.0,
        reach=None,
    )


def entity_options(variant: Variant) -> EntityOptions:
    """Look for entities as often as a variant says, and follow them by what it says."""
    usual = EntityOptions(
        inference=inference_options(),
        detection=DetectionOptions(interval=variant.interval, minimum_quality=0.0, first_score=0.05, later_score=0.05),
    )
    return replace(usual, following=replace(usual.following, tracker=variant.tracker))


def measure(model: UniVS, variant: Variant, world: World, wanted: Collection[Figure]) -> dict[Figure, float]:
    """Give the figures, in percent; one that a variant cannot have is left out.

    Args:
        model: its network, in evaluation mode, with the world's words.
        variant: how it is run.
        world: the videos.
        wanted: which figures.
    """
    figures: dict[Figure, float] = {}
    if _FOUND_BY_CATEGORY & set(wanted):
        figures |= _found(model, variant, world)
    if Figure.SHOWN in wanted:
        figures[Figure.SHOWN] = 100 * _mean_of(_shown(model, variant, world))
    if Figure.NAMED in wanted and variant.tracker is Tracker.PROMPTS:
        figures[Figure.NAMED] = 100 * _mean_of(_named(model, world))
    return {figure: figures[figure] for figure in wanted if figure in figures}


def _mean_of(scores: Iterable[float]) -> float:
    return float(np.mean(list(scores)))


def _pictures(source: Source, item_index: int) -> list[Picture]:
    return [source.read(item_index, position) for position in range(source.num_frames(item_index))]


def _things(world: World, picture: Picture) -> list[int]:
    """Give the rows of the things that show."""
    return [
        row
        for row, category in enumerate(picture.category_ids)
        if world.is_thing[category] and picture.masks[row].any()
    ]


def _shown(model: UniVS, variant: Variant, world: World) -> Iterable[float]:
    """Give J&F of each thing whose first mask is given."""
    for item_index in range(len(world.dev)):
        pictures = _pictures(world.dev, item_index)
        rows = _things(world, pictures[0])
        if not rows:
            continue
        if variant.tracker is Tracker.QUERIES:
            given = [pictures[0].masks[row].numpy() for row in rows]
            drawn = follow_by_queries(model, [each.image for each in pictures], given, SHORT_SIDE_PX)
        else:
            segmenter = _segmenter(model, pictures)
            for row in rows:
                segmenter.add_prompt(MaskPrompt(row + 1, 0, pictures[0].masks[row]))
            drawn = [_masks(result, rows) for result in results_of(segmenter, world.dev, item_index, _ignore)]
        for place, row in enumerate(rows):
            yield _mean_of(
                _mean_of((score.region, score.boundary))
                for masks, picture in zip(drawn[1:], pictures[1:], strict=True)
                for score in [score_frame(masks[place], picture.masks[row].numpy())]
            )


def _named(model: UniVS, world: World) -> Iterable[float]:
    """Give J&F of each thing that an expression names, from the first frame on."""
    for item_index in range(len(world.dev)):
        pictures = _pictures(world.dev, item_index)
        rows = [row for row in _things(world, pictures[0]) if pictures[0].texts[row]]
        if not rows:
            continue
        segmenter = _segmenter(model, pictures)
        for row in rows:
            segmenter.add_prompt(TextPrompt(row + 1, pictures[0].texts[row]))
        drawn = [_masks(result, rows) for result in results_of(segmenter, world.dev, item_index, _ignore)]
        for place, row in enumerate(rows):
            yield _mean_of(
                _mean_of((score.region, score.boundary))
                for masks, picture in zip(drawn, pictures, strict=True)
                for score in [score_frame(masks[place], picture.masks[row].numpy())]
            )


def _found(model: UniVS, variant: Variant, world: World) -> dict[Figure, float]:
    """Find, follow and divide the things and the stuff of all videos, and score that."""
    vocabulary = EncodedVocabulary.of(model, Vocabulary.of_names(world.dev.vocabulary, world.is_thing))
    answers = (Answer.INSTANCES, Answer.PANOPTIC)
    videos = []
    for item_index in range(len(world.dev)):
        size = _size([world.dev.read(item_index, 0)])
        finder = EntitySegmenter(model, vocabulary, size, answers, entity_options(variant))
        results = list(results_of(finder, world.dev, item_index, _ignore))
        videos.append((results, finder.ranking()))
    return found_figures(world, videos)


def found_figures(
    world: World, videos: Sequence[tuple[Sequence[FrameResult], Sequence[RankedEntity]]]
) -> dict[Figure, float]:
    """Score what was found in every video of a world: AP, VPQ and STQ, in percent.

    Args:
        world: the truth.
        videos: for each, its results, with instances and panoptic answers, and its ranking.
    """
    tracks: list[ScoredTrack] = []
    truths: list[TrueTrack] = []
    windows, tracking = [], []
    for item_index, (results, ranking) in enumerate(videos):
        pictures = _pictures(world.dev, item_index)
        tracks += _tracks(results, ranking, item_index)
        truths += _true_tracks(world, pictures, item_index)
        predicted, truth = _predicted_map(results), _true_map(pictures)
        windows.append(window_tallies(predicted, truth, len(world.is_thing)))
        tracking.append(tracking_tally(predicted, truth, world.is_thing))
    things = [category for category, is_thing in enumerate(world.is_thing) if is_thing]
    panoptic = summarize_windows([sum(rest, first) for first, *rest in zip(*windows, strict=True)], world.is_thing)
    return {
        Figure.TRACKS: 100 * evaluate_tracks(tracks, truths, things).all.ap,
        Figure.PANOPTIC: 100 * panoptic.vpq,
        Figure.ASSOCIATION: 100 * summarize_tracking(sum(tracking[1:], tracking[0])).stq,
    }


def _tracks(results: Sequence[FrameResult], ranking: Sequence[RankedEntity], video_id: int) -> list[ScoredTrack]:
    masks: dict[int, list[Rle | None]] = {}
    for result in results:
        for each in result.objects:
            seen = masks.setdefault(each.object_id, [None] * len(results))
            seen[result.frame_index] = each.mask if each.area_fraction > 0 else None
    return [
        ScoredTrack(video_id, each.class_index, each.score, tuple(masks[each.object_id]))
        for each in ranking
        if each.object_id in masks
    ]


def _true_tracks(world: World, pictures: list[Picture], video_id: int) -> list[TrueTrack]:
    tracks = []
    for row, category in enumerate(pictures[0].category_ids):
        masks = [picture.masks[row] for picture in pictures]
        if world.is_thing[category] and any(mask.any() for mask in masks):
            encoded = tuple(rle.encode(mask) if mask.any() else None for mask in masks)
            tracks.append(TrueTrack(video_id, category, encoded))
    return tracks


def _predicted_map(results: Sequence[FrameResult]) -> PanopticMap:
    """Give segments over time; one that changed its category counts as what it covered most pixels as."""
    areas: dict[int, Counter[int]] = {}
    ids = []
    for result in results:
        assert result.panoptic is not None, "a panoptic answer was asked for"
        ids.append(result.panoptic.segment_ids().numpy().astype(np.int64))
        for each in result.panoptic.segments:
            areas.setdefault(each.segment_id, Counter())[each.class_index] += rle.area(each.mask)
    segments = (Segment(segment_id, counts.most_common(1)[0][0]) for segment_id, counts in areas.items())
    return PanopticMap(np.stack(ids), tuple(segments))


def _true_map(pictures: list[Picture]) -> PanopticMap:
    """Give the truth over time; where masks overlap, the later row is in front."""
    ids = np.zeros((len(pictures), *_size(pictures)), dtype=np.int64)
    for position, picture in enumerate(pictures):
        for row, mask in enumerate(picture.masks):
            ids[position][mask.numpy()] = row + 1
    segments = (Segment(row + 1, category) for row, category in enumerate(pictures[0].category_ids))
    return PanopticMap(ids, tuple(segments))


def _segmenter(model: UniVS, pictures: list[Picture]) -> VideoSegmenter:
    return VideoSegmenter(model, inference_options(), _size(pictures))


def _size(pictures: list[Picture]) -> tuple[int, int]:
    return pictures[0].image.shape[-2], pictures[0].image.shape[-1]


def _masks(result: FrameResult, rows: list[int]) -> list[Mask]:
    known = {each.object_id: each.mask for each in result.objects}
    return [
        np.ascontiguousarray(rle.decode(known[row + 1])) if row + 1 in known else np.zeros(result.size, dtype=np.bool_)
        for row in rows
    ]


def _ignore() -> None:
    """Take no note of a frame."""
