"""Objects are followed towards the beginning of a stored video too: a run of its own, with its own events."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from tests.service.worker.test_live_sessions import check_numbering, push_frames, results

from univs.types import Clip, Frame
from univs_service.exports.recorded import RecordedResults
from univs_service.messages import AddPrompt, CloseSession, PromptIn, Propagate, RemoveObject, SessionStatus
from univs_service.store import paths
from univs_service.worker.convert import prompt_from_message

_TERMINAL = {"frame.result", "frame.dropped", "frame.error"}
Frames = dict[int, list[dict[str, Any]]]


def told(bench: Any, spec: Any) -> list[dict[str, Any]]:
    """The events so far, none at first."""
    return bench.events(spec) if bench.state(spec).last_seq else []


def done(events: list[dict[str, Any]]) -> list[tuple[int, str, str, int]]:
    return [
        (event["run_id"], event["direction"], event["reason"], event["num_frames"])
        for event in events
        if event["type"] == "run.done"
    ]


def check_terminal_events(events: list[dict[str, Any]]) -> None:
    pairs = [(event["run_id"], event["frame_index"]) for event in events if event["type"] in _TERMINAL]
    assert len(set(pairs)) == len(pairs), "a frame of a run has exactly one terminal event"


def newest(bench: Any, spec: Any) -> dict[int, dict[int, tuple[int, str]]]:
    """What exports hold: revision and mask of each object by frame."""
    path = paths.results_file(bench.settings.data_dir, spec.session_id)
    return {
        result.frame_index: {one.object_id: (one.revision, one.mask.counts) for one in result.objects}
        for result in RecordedResults(path, len(bench.events(spec)))
    }


def as_if_reversed(bench: Any, make_pictures: Callable[[int], Any], prompt: PromptIn) -> list[str]:
    """The masks that an object gets when the frames up to its prompt are shown in reverse, last frame first."""
    segmenter = bench.engine.open((48, 64))
    segmenter.add_prompt(prompt_from_message(prompt.model_copy(update={"frame_index": 0}), (48, 64)))
    masks = []
    for place, picture in enumerate(reversed(make_pictures(prompt.frame_index + 1))):
        frame = Frame(place, place, Fraction(1, 10), torch.from_numpy(picture).permute(2, 0, 1))
        masks += [result.objects[0].mask.counts for result in segmenter.step(Clip((frame,)))]
    return masks


def test_a_prompt_is_followed_both_ways(bench: Any, make_box: Any, make_pictures: Any) -> None:
    prompt = make_box(object_id=2, frame_index=8, direction="both")
    spec = bench.create("a", [make_box(), prompt])
    bench.worker(worker_lease_s=60.0).run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    check_terminal_events(events)
    assert done(events) == [(1, "forward", "end", 12), (2, "backward", "end", 8)]
    back: Frames = results(events, run_id=2)
    assert list(back) == list(range(7, -1, -1))
    assert all([found["object_id"] for found in objects] == [2] for objects in back.values())
    masks = [objects[0]["mask"]["counts"] for objects in back.values()]
    assert masks == as_if_reversed(bench, make_pictures, prompt)[1:]
    assert all(set(objects) == {1, 2} for objects in newest(bench, spec).values())
    assert bench.state(spec).status is SessionStatus.DONE


def test_a_correction_backward_leaves_what_comes_after_it_as_it_was(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box(), make_box(object_id=2)], auto_start=False)
    worker = bench.worker(worker_lease_s=60.0)
    bench.send(spec, Propagate())
    worker.run_until(lambda: len(done(told(bench, spec))) == 1)
    before = newest(bench, spec)
    bench.send(spec, AddPrompt(prompt=make_box(frame_index=6, direction="backward")))
    worker.run_until(lambda: len(done(told(bench, spec))) == 2)
    after = newest(bench, spec)
    assert done(bench.events(spec))[-1] == (2, "backward", "end", 7)
    assert [objects[1][0] for objects in after.values()] == [2] * 7 + [1] * 5
    assert all(after[index][2] == before[index][2] for index in range(12)), "the other object is untouched"
    assert all(after[index] == before[index] for index in range(7, 12))
    bench.send(spec, AddPrompt(prompt=make_box(frame_index=4, direction="both")))
    worker.run_until(lambda: len(done(told(bench, spec))) == 4)
    assert done(bench.events(spec))[2:] == [(3, "forward", "to_frame", 8), (4, "backward", "end", 4)]
    assert [objects[1][0] for objects in newest(bench, spec).values()] == [3] * 12
    bench.send(spec, CloseSession())
    worker.run_to_end(spec)
    check_numbering(bench.events(spec))
    check_terminal_events(bench.events(spec))


def test_a_range_backward_of_some_objects(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box(frame_index=9), make_box(object_id=2, frame_index=9)], auto_start=False)
    worker = bench.worker(worker_lease_s=60.0)
    bench.send(spec, Propagate(direction="backward", from_frame=9, to_frame=3, object_ids=[2]))
    worker.run_until(lambda: len(done(told(bench, spec))) == 1)
    assert done(bench.events(spec)) == [(1, "backward", "to_frame", 7)]
    assert {index: [one["object_id"] for one in objects] for index, objects in results(bench.events(spec)).items()} == {
        index: [2] for index in range(9, 2, -1)
    }
    bench.send(spec, Propagate())  # the segmenter that goes forward has not moved
    worker.run_until(lambda: len(done(told(bench, spec))) == 2)
    assert list(results(bench.events(spec), run_id=2)) == list(range(12))


@pytest.mark.parametrize("num_back", [0, 3, 6])
def test_a_dead_worker_changes_nothing(bench: Any, make_box: Any, num_back: int) -> None:
    prompts = [make_box(), make_box(object_id=2, frame_index=9, direction="both"), make_box(object_id=2, frame_index=5)]
    undisturbed = bench.create("a", prompts)
    bench.worker(worker_lease_s=60.0).run_to_end(undisturbed)
    disturbed = bench.create("b", prompts)
    worker = bench.worker(worker_lease_s=2.0)
    worker.run_until(lambda: len(done(told(bench, disturbed))) == 1)
    worker.run_until(lambda: len(results(bench.events(disturbed), run_id=2)) == num_back)
    assert not bench.state(disturbed).is_ended
    bench.worker(worker_lease_s=2.0).run_to_end(disturbed)
    assert bench.events(disturbed) == bench.events(undisturbed)


def test_a_correction_forward_goes_first_and_the_run_backward_loses_no_frame(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box(frame_index=10, direction="both")])
    worker = bench.worker(worker_lease_s=60.0)
    worker.run_until(lambda: len(results(told(bench, spec), run_id=2)) == 3)
    bench.send(spec, AddPrompt(prompt=make_box(object_id=2, frame_index=8)))
    worker.run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    check_terminal_events(events)
    assert done(events) == [
        (1, "forward", "end", 12),
        (2, "backward", "superseded", 3),
        (3, "forward", "to_frame", 4),
        (4, "backward", "end", 7),
    ]
    assert list(results(events, run_id=4)) == list(range(6, -1, -1))
    assert all(1 in objects for objects in newest(bench, spec).values())


def test_a_removed_object_is_not_followed_back_and_its_later_results_are_gone(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box(), make_box(object_id=2, frame_index=3, direction="both")])
    worker = bench.worker(worker_lease_s=60.0)
    worker.run_until(lambda: len(results(told(bench, spec))) == 6)
    bench.send(spec, RemoveObject(object_id=2))
    worker.run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    (removed,) = [event for event in events if event["type"] == "object.removed"]
    assert (removed["object_id"], removed["frame_index"]) == (2, 6)
    assert [run[1] for run in done(events)] == ["forward"]
    assert [sorted(objects) for objects in newest(bench, spec).values()] == [[1]] * 3 + [[1, 2]] * 3 + [[1]] * 6


def test_live_frames_cannot_be_followed_back(bench: Any, make_box: Any, make_pictures: Any) -> None:
    spec = bench.create_push("a", [make_box(direction="both"), make_box(object_id=2)])
    push_frames(bench, spec, make_pictures(4), "raw")
    bench.worker(worker_lease_s=60.0).run_to_end(spec)
    (refused,) = [event for event in bench.events(spec) if event["type"] == "prompt.refused"]
    assert refused["object_id"] == 1
    assert "not kept" in refused["problem"]["detail"]
    assert [[one["object_id"] for one in objects] for objects in results(bench.events(spec)).values()] == [[2]] * 4
