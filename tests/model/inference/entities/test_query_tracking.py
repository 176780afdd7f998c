"""Entities followed by learnable queries instead of prompts: what the paper's tracking is measured against."""

from dataclasses import replace

import pytest
import torch
from tests.model.inference.entities.streams import credulous, frames, network, opened, run, vocabulary

from univs.inference.entities import snapshot
from univs.inference.entities.options import EntityOptions, Tracker, released_vis
from univs.inference.entities.query_tracking import likeness, recent_look
from univs.types import Clip

PROMPTS = credulous()
QUERIES = replace(PROMPTS, following=replace(PROMPTS.following, tracker=Tracker.QUERIES))


def test_prompts_are_what_entities_are_followed_by_unless_said_otherwise() -> None:
    assert EntityOptions().following.tracker is Tracker.PROMPTS
    explicit = replace(PROMPTS, following=replace(PROMPTS.following, tracker=Tracker.PROMPTS))
    assert run(opened(explicit)) == run(opened(PROMPTS))
    assert run(opened(QUERIES)) != run(opened(PROMPTS))


def test_the_first_frame_is_answered_alike() -> None:
    first = Clip(tuple(frames(0, 1)))
    assert opened(QUERIES).step(first) == opened(PROMPTS).step(first)


def test_an_entity_takes_the_answer_most_like_it_and_nobody_the_same_one() -> None:
    segmenter = opened(QUERIES)
    segmenter.step(Clip(tuple(frames(0, 3))))
    features = [entity.track.embeddings[-1] for entity in segmenter.entities]
    assert len(features) == 8, "every learnable query is an entity here"
    distances = torch.cdist(torch.stack(features), torch.stack(features)) + 10 * torch.eye(8)
    assert float(distances.min()) > 0


def test_neither_memory_nor_prompts_matter() -> None:
    """A network whose prompts say nothing gives the same tracks."""
    mute = network()
    before = run(opened(QUERIES))
    task = mute.visual_queries.task.clone()
    try:
        mute.visual_queries.task.add_(5.0)
        assert run(opened(QUERIES)) == before
        assert run(opened(PROMPTS)) != before
    finally:
        mute.visual_queries.task.copy_(task)


def test_looks_are_means_of_the_last_two_frames_that_show_something() -> None:
    rows = torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 2.0], [0.0, 0.0]])
    assert torch.equal(recent_look(rows), torch.tensor([4.0, 1.0]))
    assert torch.equal(recent_look(rows[3:]), torch.zeros(2))
    cosines = likeness(torch.eye(2), torch.tensor([[2.0, 0.0], [1.0, 1.0]]))
    assert torch.allclose(cosines, torch.tensor([[1, 0.5**0.5], [0, 0.5**0.5]]))


def test_a_restored_stream_goes_on_with_the_same_answers() -> None:
    uninterrupted = run(opened(QUERIES), 6)
    segmenter = opened(QUERIES)
    results = segmenter.step(Clip(tuple(frames(0, 3))))
    restored = snapshot.restore(snapshot.take(segmenter), network(), vocabulary(), QUERIES)
    assert results + restored.step(Clip(tuple(frames(3, 6)))) + restored.finish() == uninterrupted


def test_snapshots_of_prompts_are_those_of_before_there_was_a_choice() -> None:
    assert b"tracker" not in snapshot.take(opened(PROMPTS))
    assert b"tracker" in bytes(snapshot.take(opened(QUERIES)))


def test_windows_of_several_frames_are_refused() -> None:
    options = released_vis()
    with pytest.raises(ValueError, match="frame to frame"):
        replace(options, following=replace(options.following, tracker=Tracker.QUERIES))
