"""The stream of entities: whatever the network says, ids, answers and memory keep their promises."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from tests.model.inference.entities.streams import (
    ALL,
    credulous,
    frames,
    network,
    opened,
    run,
    things,
    vocabulary,
)

from univs import rle
from univs.errors import UnsupportedPromptError
from univs.inference.entities.options import (
    Answer,
    ClassMemory,
    EntityOptions,
    Measured,
    PanopticWeight,
    Ranking,
    SemanticResize,
    SemanticSource,
    entity_options_for,
    paper_entities,
    released_image,
    released_image_panoptic,
    released_vis,
    released_vps,
    released_vss,
)
from univs.inference.entities.segmenter import EntitySegmenter
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.options import SHORT_SIDE_PX, Isolation
from univs.types import Clip, Compat, FrameResult
from univs.vocabularies import Vocabulary

PAPER = credulous()
VIS, VPS, VSS = (credulous(options) for options in (released_vis(), released_vps(), released_vss()))


def short(options: EntityOptions, clip_length: int = 3, clip_stride: int = 1, block: int | None = 4) -> EntityOptions:
    """Shorten the windows and blocks of published settings."""
    inference = replace(options.inference, clip_length=clip_length, clip_stride=clip_stride)
    return replace(options, inference=inference, answer_block=block)


def masks(results: list[FrameResult], object_id: int = 1) -> list[rle.Rle]:
    return [one.mask for result in results for one in result.objects if one.object_id == object_id]


def no_entity(options: EntityOptions) -> EntityOptions:
    return replace(options, detection=replace(options.detection, first_score=1.0, later_score=1.0))


@pytest.mark.parametrize("options", [PAPER, short(VIS), short(VPS)], ids=["paper", "vis", "vps"])
def test_an_entity_keeps_its_id_and_has_a_result_in_every_frame_from_its_first(options: EntityOptions) -> None:
    results = run(opened(options), 7)
    ids = [[one.object_id for one in result.objects] for result in results]
    assert ids[0]
    assert all(earlier == later[: len(earlier)] for earlier, later in pairwise(ids))
    assert all(now == sorted(set(now)) for now in ids)


@pytest.mark.parametrize("options", [PAPER, short(VPS)], ids=["paper", "vps"])
def test_a_segment_is_the_same_thing_or_stuff_in_all_frames(options: EntityOptions) -> None:
    panoptic = replace(options.panoptic, minimum_share=0.0)
    seen: dict[int, int | str] = {}
    for result in run(opened(replace(options, panoptic=panoptic)), 7):
        assert result.panoptic is not None
        for segment in result.panoptic.segments:
            owner = segment.object_id if segment.object_id is not None else segment.label
            assert seen.setdefault(segment.segment_id, owner) == owner
    assert len(seen) > 1
    assert len(set(seen.values())) == len(seen)


@pytest.mark.parametrize("size", [(70, 110), (64, 64), (33, 97), (121, 47)])
@pytest.mark.parametrize("options", [PAPER, short(VPS)], ids=["paper", "vps"])
def test_answers_have_the_size_of_the_frame_whatever_it_is(options: EntityOptions, size: tuple[int, int]) -> None:
    for result in run(opened(options, size=size), 2):
        assert result.semantic is not None
        assert result.panoptic is not None
        assert {one.mask.size for one in result.objects} == {result.size} == {size}
        assert result.semantic.class_indices().shape == result.panoptic.segment_ids().shape == size


def test_segments_never_overlap() -> None:
    for result in run(opened(PAPER), 4):
        for picture in (result.semantic, result.panoptic):
            assert picture is not None
            areas = sum(float(torch.from_numpy(rle.decode(one.mask)).sum()) for one in picture.segments)
            assert areas == float((picture.segment_ids() > 0).sum()) > 0


@pytest.mark.parametrize("options", [PAPER, short(VIS), short(VSS, 3, 3, None)], ids=["paper", "vis", "vss"])
def test_padded_class_rows_change_nothing(options: EntityOptions) -> None:
    expected = run(opened(options, vocabulary(num_padding=0)))
    padded = vocabulary(num_padding=7)
    padded.vectors[:5] = vocabulary().vectors
    found = run(opened(options, padded))
    for one, other in zip(expected, found, strict=True):
        assert [entity.mask for entity in one.objects] == [entity.mask for entity in other.objects]
        assert [entity.label for entity in one.objects] == [entity.label for entity in other.objects]
        assert one.panoptic is not None and other.panoptic is not None
        assert torch.equal(one.panoptic.segment_ids(), other.panoptic.segment_ids())


def test_more_entities_leave_the_first_one_as_it_was() -> None:
    model, words = network(num_learnable=48), things()

    def first_of(number: int) -> tuple[list[rle.Rle], int]:
        detection = replace(PAPER.detection, max_entities=number, interval=100)
        segmenter = opened(replace(PAPER, detection=detection), words, [Answer.INSTANCES], model=model)
        results = run(segmenter, 3)
        return masks(results), len(results[-1].objects)

    alone, number = first_of(1)
    assert number == 1
    among_forty, number = first_of(40)
    assert number == 40
    assert alone == among_forty


def test_entities_are_admitted_up_to_the_maximum_the_best_first() -> None:
    detection = replace(PAPER.detection, max_entities=3)
    everything = opened(PAPER, things())
    run(everything, 1)
    best = sorted(float(entity.scores.max()) for entity in everything.entities)[-3:]
    few = opened(replace(PAPER, detection=detection), things())
    run(few, 7)
    assert len(few.object_ids) == 3
    run(one := opened(replace(PAPER, detection=detection), things()), 1)
    assert sorted(float(entity.scores.max()) for entity in one.entities) == pytest.approx(best)


@pytest.mark.parametrize("options", [PAPER, VIS, VPS], ids=["paper", "vis", "vps"])
def test_nothing_is_answered_where_nothing_is_found(options: EntityOptions) -> None:
    segmenter = opened(short(no_entity(options)) if options is not PAPER else no_entity(options))
    results = run(segmenter, 4)
    assert [result.frame_index for result in results] == [0, 1, 2, 3]
    for result in results:
        assert result.objects == ()
        assert result.panoptic is not None and result.panoptic.segments == ()
    assert segmenter.object_ids == ()
    assert segmenter.ranking() == ()


def test_an_entity_may_come_late_but_not_as_published() -> None:
    def found_late(*, starts_late: bool) -> int:
        detection = replace(PAPER.detection, starts_late=starts_late)
        segmenter = opened(replace(PAPER, detection=replace(detection, first_score=1.0)))
        segmenter.step(Clip(tuple(frames(0, 1))))
        segmenter.options = replace(PAPER, detection=detection)
        segmenter.step(Clip(tuple(frames(1, 3))))
        return len(segmenter.object_ids)

    assert found_late(starts_late=True) > 0
    assert found_late(starts_late=False) == 0


@pytest.mark.parametrize("count", [1, 2, 3, 5, 14])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_frame_has_one_result_whatever_the_stride_and_length(count: int, stride: int) -> None:
    segmenter = opened(short(VIS, 3, stride))
    results = run(segmenter, count)
    assert [result.frame_index for result in results] == list(range(count))
    assert segmenter.finish() == []


def test_frames_of_a_block_are_answered_together() -> None:
    segmenter = opened(short(VIS, 3, 1, block=4))
    counts = [len(segmenter.step(Clip((frame,)))) for frame in frames(0, 16)]
    assert set(counts) == {0, 4}
    assert len(segmenter.finish()) == 16 - sum(counts)


def test_ours_answers_each_frame_at_once() -> None:
    segmenter = opened(PAPER)
    assert [len(segmenter.step(Clip((frame,)))) for frame in frames(0, 4)] == [1, 1, 1, 1]
    assert segmenter.finish() == []


@pytest.mark.parametrize("options", [PAPER, short(VIS, 3, 1, 4)], ids=["paper", "vis"])
def test_memory_does_not_grow_with_the_video(options: EntityOptions) -> None:
    detection = replace(options.detection, max_entities=6)
    segmenter = opened(replace(options, detection=detection), things(), [Answer.INSTANCES])
    held = []
    for index in range(0, 24, 8):
        segmenter.step(Clip(tuple(frames(index, index + 8))))
        held.append(segmenter.num_bytes)
    assert len(segmenter.object_ids) == 6
    assert held[2] == held[1]


def test_bytes_follow_the_documented_formula() -> None:
    detection = replace(PAPER.detection, max_entities=6)
    segmenter = opened(replace(PAPER, detection=detection), things())
    segmenter.step(Clip(tuple(frames(0, 2))))
    shape = segmenter.memory.pool.shape
    rows, columns = shape.grid_size
    track = 4 * shape.num_frames * shape.channels + 2 * rows * columns
    categories = 4 * PAPER.following.num_detections * len(segmenter.vocabulary)
    pool = shape.bytes_per_object(torch.float16)
    assert segmenter.num_bytes == 6 * (pool + track + categories)


def test_other_answers_may_be_asked_for_while_the_video_runs() -> None:
    expected = run(opened(PAPER), 6)
    segmenter = opened(PAPER, answers=[Answer.INSTANCES])
    results = segmenter.step(Clip(tuple(frames(0, 3))))
    segmenter.answers = frozenset(ALL)
    results += segmenter.step(Clip(tuple(frames(3, 6))))
    assert [result.objects for result in results] == [result.objects for result in expected]
    assert [result.semantic for result in results[:3]] == [None] * 3
    assert [result.semantic for result in results[3:]] == [result.semantic for result in expected[3:]]


def test_names_may_be_added_while_the_video_runs() -> None:
    segmenter = opened(PAPER)
    segmenter.step(Clip(tuple(frames(0, 3))))
    known, scores = segmenter.object_ids, [entity.scores for entity in segmenter.entities]
    segmenter.add_names(vocabulary(3, seed=9, prefix="other"))
    assert segmenter.object_ids == known
    assert segmenter.vocabulary.names[-3:] == ("other 0", "other 1", "other 2")
    for entity, before in zip(segmenter.entities, scores, strict=True):
        assert entity.scores[:5] == pytest.approx(before)
        assert float(entity.scores[5:].min()) > 0
    results = segmenter.step(Clip(tuple(frames(3, 8))))
    assert {one.object_id for one in results[0].objects} >= set(known)
    assert len({name for one in segmenter.ranking() if (name := one.label).startswith("other")}) == 2  # the things


def test_names_that_are_known_already_are_not_added_again() -> None:
    words = vocabulary(5)
    assert words.joined_with(vocabulary(3)).names == words.names
    assert len(words.joined_with(vocabulary(2, prefix="other")).vectors) == 7


def test_names_need_a_text_encoder() -> None:
    with pytest.raises(UnsupportedPromptError, match="text encoder"):
        EncodedVocabulary.of(network(), Vocabulary.of_names(["dog"]))


def test_a_table_with_fewer_rows_than_names_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of the class table"):
        EncodedVocabulary(Vocabulary.of_names(["a", "b"]), torch.zeros(1, 32))


def test_another_frame_than_the_next_is_refused() -> None:
    with pytest.raises(ValueError, match="expected frame 0"):
        opened(PAPER).step(Clip(tuple(frames(1, 2))))


@pytest.mark.parametrize("options", [released_image(64), released_image_panoptic(64)])
def test_a_still_is_a_video_of_one_frame(options: EntityOptions) -> None:
    asked = credulous(options)
    segmenter: EntitySegmenter = opened(asked)
    (result,) = run(segmenter, 1)
    assert result.objects
    assert result.semantic is not None and float((result.semantic.class_indices() < 0).sum()) == 0
    assert result.panoptic is not None
    scores = [one.score for one in segmenter.ranking()]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) > len(result.objects)  # several categories each


@pytest.mark.parametrize("options", [PAPER, short(VIS)], ids=["paper", "vis"])
def test_a_session_may_turn_to_categories_in_the_middle_of_a_video(options: EntityOptions) -> None:
    segmenter = opened(options)
    segmenter.skip_to(40)
    results = segmenter.step(Clip(tuple(frames(40, 46)))) + segmenter.finish()
    assert [result.frame_index for result in results] == list(range(40, 46))
    assert all(result.objects for result in results)
    with pytest.raises(ValueError, match="before the first frame"):
        segmenter.skip_to(90)


@pytest.mark.parametrize("options", [PAPER, short(VIS), short(VPS, 3, 2)], ids=["paper", "vis", "vps"])
def test_frames_that_cannot_be_had_are_left_out(options: EntityOptions) -> None:
    segmenter = opened(options)
    results, given = [], [0, 1, 2, 5, 6, 11, 12, 13, 14, 20, 21, 22, 23]
    for index in given:
        segmenter.next_frame = index
        results += segmenter.step(Clip(tuple(frames(index, index + 1))))
    results += segmenter.finish()
    assert [result.frame_index for result in results] == given


def test_reserved_ids_are_left_out_and_change_nothing_else() -> None:
    plain, other = opened(PAPER), opened(PAPER)
    other.reserved_ids = frozenset({1, 3, 4})
    before, after = run(plain, 3), run(other, 3)
    names = dict(zip(plain.object_ids, other.object_ids, strict=True))
    assert list(names.items())[:3] == [(1, 2), (2, 5), (3, 6)]
    for first, second in zip(before, after, strict=True):
        assert [(names[one.object_id], one.mask) for one in first.objects] == [
            (one.object_id, one.mask) for one in second.objects
        ]


@pytest.mark.parametrize("options", [PAPER, short(VIS)], ids=["paper", "vis"])
def test_a_stream_that_rests_goes_on_counting_where_it_stopped(options: EntityOptions) -> None:
    segmenter = opened(options)
    run(segmenter, 4)
    known = set(segmenter.object_ids)
    segments = set(segmenter.state.ledger.of_thing.values())
    segmenter.forget_entities()
    assert (segmenter.object_ids, segmenter.memory.pool.object_ids) == ((), ())
    segmenter.next_frame = 9
    results = segmenter.step(Clip(tuple(frames(9, 13)))) + segmenter.finish()
    assert [result.frame_index for result in results] == [9, 10, 11, 12]
    assert known and segmenter.object_ids and not known & set(segmenter.object_ids)
    of_new = {
        segmenter.state.ledger.of_thing[one] for one in segmenter.object_ids if one in segmenter.state.ledger.of_thing
    }
    assert not of_new & segments


def test_a_stream_does_not_rest_while_frames_wait() -> None:
    segmenter = opened(short(VIS))
    segmenter.step(Clip(tuple(frames(0, 2))))
    with pytest.raises(ValueError, match="no frame to wait"):
        segmenter.forget_entities()


def test_an_answer_names_the_row_of_its_category() -> None:
    segmenter = opened(PAPER)
    for result in run(segmenter, 2):
        assert result.objects
        assert [segmenter.vocabulary.names[one.class_index or 0] for one in result.objects] == [
            one.label for one in result.objects
        ]


def test_weights_say_by_which_settings_they_find_entities() -> None:
    ours, released = Compat.PAPER, Compat.RELEASED
    assert entity_options_for(ours, ALL).inference.short_side_px == SHORT_SIDE_PX
    assert entity_options_for(ours, ALL, 64) == paper_entities(64)
    assert entity_options_for(released, ALL) == released_vps()
    assert entity_options_for(released, [Answer.INSTANCES, Answer.SEMANTIC]) == released_vis()
    assert entity_options_for(released, [Answer.SEMANTIC]) == released_vss()
    assert entity_options_for(released, [Answer.INSTANCES], is_still=True) == released_image()
    assert entity_options_for(released, [Answer.PANOPTIC], 96, is_still=True) == released_image_panoptic(96)


def answers(options: EntityOptions) -> tuple[object, ...]:
    segmenter = opened(options)
    results = run(segmenter, 3)
    return (*((result.semantic, result.panoptic) for result in results), segmenter.ranking())


@pytest.mark.parametrize(
    ("part", "ours"),
    [
        ("semantic", {"source": SemanticSource.QUERIES}),
        ("semantic", {"resize": SemanticResize.LOGITS_NEAREST}),
        ("semantic", {"temperature": 0.06}),
        ("panoptic", {"weight": PanopticWeight.SOFTENED}),
        ("panoptic", {"compares_logits": True}),
        ("panoptic", {"is_nearest": True}),
        ("panoptic", {"stuff_discount": 0.01}),
        ("panoptic", {"minimum_share": 0.99}),
        ("ranking", {"by": Ranking.TOTAL_QUALITY}),
        ("ranking", {"by": Ranking.NOTHING}),
        ("ranking", {"minimum_score": 0.2}),
        ("ranking", {"max_results": 3}),
        ("detection", {"measured": Measured.FRAME}),
        ("detection", {"measured": Measured.PADDED}),
    ],
    ids=str,
)
def test_each_option_of_the_answers_matters(part: str, ours: dict[str, Any]) -> None:
    expected = replace(PAPER, panoptic=replace(PAPER.panoptic, minimum_share=0.0))
    parts: dict[str, Any] = {part: replace(getattr(expected, part), **ours)}
    assert answers(expected) != answers(replace(expected, **parts))


def test_stuff_may_need_its_share_too() -> None:
    panoptic = replace(PAPER.panoptic, minimum_share=1.1)
    for needs_share, has_stuff in ((False, True), (True, False)):
        asked = replace(PAPER, panoptic=replace(panoptic, stuff_needs_share=needs_share))
        (result,) = run(opened(asked), 1)
        assert result.panoptic is not None
        assert any(not segment.is_thing for segment in result.panoptic.segments) == has_stuff


def state(options: EntityOptions) -> list[torch.Tensor]:
    segmenter = opened(options, answers=[Answer.INSTANCES])
    segmenter.step(Clip(tuple(frames(0, 5))))
    return [
        torch.cat(
            [entity.window_logits.flatten(), entity.left.flatten(), entity.track.embeddings.flatten(), entity.scores]
        )
        for entity in segmenter.entities
    ]


def differ(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    if len(one) != len(other):
        return True
    return any(
        left.shape != right.shape or not torch.equal(left, right) for left, right in zip(one, other, strict=True)
    )


@pytest.mark.parametrize(
    ("part", "ours"),
    [
        ("detection", {"interval": 2}),
        ("detection", {"first_score": 0.2}),
        ("detection", {"later_score": 0.5}),
        ("detection", {"similarity": 0.9, "merge_similarity": 0.9}),
        ("detection", {"merge_similarity": 0.9}),
        ("detection", {"new_overlap": 0.0}),
        ("detection", {"minimum_quality": 0.4}),
        ("detection", {"max_candidates": 3}),
        ("detection", {"max_entities": 3}),
        ("detection", {"box_overlap": 0.3}),
        ("following", {"minimum_share": 0.9}),
        ("following", {"takes_late_tokens": False}),
        ("following", {"class_memory": ClassMemory.DETECTIONS}),
        ("inference", {"consistency_threshold": 0.999}),
        ("inference", {"isolation": Isolation.STRICT, "object_tile": 8}),
    ],
    ids=str,
)
def test_each_option_of_the_published_stream_matters(part: str, ours: dict[str, Any]) -> None:
    expected = short(VIS)
    following = replace(expected.following, minimum_share=None)
    detection = replace(expected.detection, merge_similarity=0.3)
    expected = replace(expected, following=following, detection=detection)
    parts: dict[str, Any] = {part: replace(getattr(expected, part), **ours)}
    changed = replace(expected, **parts)
    assert differ(state(expected), state(changed))


def test_a_full_memory_forgets_what_is_lost_and_never_gives_its_id_again() -> None:
    detection = replace(PAPER.detection, max_entities=4)
    inference = replace(PAPER.inference, lost_after_frames=1)
    segmenter = opened(replace(PAPER, detection=detection, inference=inference), things(), [Answer.INSTANCES])
    segmenter.step(Clip(tuple(frames(0, 1))))
    assert segmenter.object_ids == (1, 2, 3, 4)
    blind = replace(inference, presence_threshold=1.1)
    segmenter.options = replace(segmenter.options, inference=blind, detection=replace(detection, similarity=1.1))
    segmenter.step(Clip(tuple(frames(1, 4))))
    assert segmenter.object_ids == (5, 6, 7, 8)
    assert segmenter.memory.pool.object_ids == (5, 6, 7, 8)


@pytest.mark.parametrize(("presence", "states"), [(0.0, {"visible"}), (1.1, {"visible", "occluded", "lost"})])
def test_what_is_not_recognised_is_occluded_then_lost(presence: float, states: set[str]) -> None:
    inference = replace(PAPER.inference, presence_threshold=presence, lost_after_frames=2)
    detection = replace(PAPER.detection, interval=100)
    results = run(opened(replace(PAPER, inference=inference, detection=detection), answers=[Answer.INSTANCES]), 5)
    assert {one.state.value for result in results for one in result.objects if one.area_fraction or presence} == states
    assert all(one.area_fraction == 0 for result in results for one in result.objects if one.state.value != "visible")


def test_an_entity_that_was_out_of_sight_is_found_again_by_a_detection() -> None:
    inference = replace(PAPER.inference, presence_threshold=1.1)  # as a prompt it is never recognised
    segmenter = opened(replace(PAPER, inference=inference), things(), [Answer.INSTANCES])
    results = run(segmenter, 4)
    assert all(one.area_fraction == 0 for result in results[1:3] for one in result.objects)
    known = {one.object_id for one in results[0].objects}
    assert any(one.area_fraction > 0 and one.object_id in known for one in results[3].objects)
