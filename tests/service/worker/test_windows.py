"""Published weights look at windows of frames, so results come late; each frame still gets exactly one event."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.service.worker.test_live_sessions import check_numbering, push_frames, results

from univs import weights
from univs.inference.options import released_vos
from univs.types import Compat
from univs_service.messages import AddPrompt, CloseSession, InputEnd, Propagate, RemoveObject, SessionStatus
from univs_service.settings import Settings
from univs_service.store import paths
from univs_service.worker.engine import Engine

_LENGTH = 3  # frames of a window
_TERMINAL = {"frame.result", "frame.dropped", "frame.error"}


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The engine of `bench`, run as published."""
    torch.set_num_threads(1)
    model, info = weights.load("tiny")
    options = replace(released_vos(), clip_length=_LENGTH, short_side_px=64, tokens_per_frame=8, memory_frames=3)
    return Engine(model.optimize_for_inference(), replace(info, compat=Compat.RELEASED), options)


def terminal_events(events: list[dict[str, Any]]) -> Counter[int]:
    """Count the terminal events of each frame, over all runs."""
    return Counter(event["frame_index"] for event in events if event["type"] in _TERMINAL)


def test_every_frame_gets_one_result(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box(), make_box(object_id=2, frame_index=6)])
    bench.worker().run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    assert [event["type"] for event in events[2:]] == [*["frame.result"] * 12, "run.done", "session.closed"]
    assert list(results(events)) == list(range(12))
    assert events[-2]["num_frames"] == 12
    assert [len(objects) for objects in results(events).values()] == [1] * 6 + [2] * 6


def test_a_range_of_frames(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box(frame_index=3)], from_frame=5, to_frame=8)
    bench.worker().run_to_end(spec)
    assert list(results(bench.events(spec))) == [5, 6, 7, 8]


@pytest.mark.parametrize("num_turns", [3, 5, 9])
@pytest.mark.parametrize("snapshot_every", [1, 4])
def test_a_dead_worker_changes_nothing(bench: Any, make_box: Any, num_turns: int, snapshot_every: int) -> None:
    prompts = [make_box(), make_box(object_id=2, frame_index=6)]
    undisturbed = bench.create("a", prompts)
    bench.worker().run_to_end(undisturbed)
    disturbed = bench.create("b", prompts)
    bench.worker(snapshot_every=snapshot_every).turn(num_turns)
    assert not bench.state(disturbed).is_ended
    bench.worker().run_to_end(disturbed)
    check_numbering(bench.events(disturbed))
    assert bench.events(disturbed) == bench.events(undisturbed)


def test_a_dead_worker_after_late_commands_changes_nothing(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()])
    first = bench.worker()
    first.turn(5)
    bench.send(spec, AddPrompt(prompt=make_box(object_id=2, frame_index=9)))
    first.turn(2)
    before = bench.events(spec)
    bench.send(spec, RemoveObject(object_id=1))  # read by the second worker only
    bench.worker().run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    assert events[: len(before)] == before
    assert list(results(events)) == list(range(12))


def test_a_correction_leaves_no_frame_without_a_result(bench: Any, make_box: Any) -> None:
    """Frames that wait when a correction comes have no result in the old run: the new one begins with them."""
    spec = bench.create("a", [make_box()])
    worker = bench.worker()
    worker.turn(7)
    answered = max(results(bench.events(spec)))
    bench.send(spec, AddPrompt(prompt=make_box(object_id=2, frame_index=answered + 2)))
    worker.run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    assert list(results(events, 1)) == list(range(answered + 1))
    assert list(results(events, 2)) == list(range(answered + 1, 12))
    done = [event for event in events if event["type"] == "run.done"]
    assert [(event["reason"], event["num_frames"]) for event in done] == [
        ("superseded", answered + 1),
        ("end", 11 - answered),
    ]


def test_a_prompt_for_a_frame_that_a_restored_window_holds_is_a_correction(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()])
    first = bench.worker(snapshot_every=1, worker_lease_s=60.0)
    first.turn(7)
    answered = max(results(bench.events(spec)))
    first.sessions.hand_over()
    bench.send(spec, AddPrompt(prompt=make_box(object_id=2, frame_index=answered + 2)))
    bench.worker().run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    assert terminal_events(events) == Counter(range(12))
    known = {index: {found["object_id"] for found in objects} for index, objects in results(events, 2).items()}
    assert known[answered + 2] == {1, 2}


def test_pushed_frames_give_the_masks_of_the_file(bench: Any, make_box: Any, make_pictures: Any) -> None:
    stored = bench.create("a", [make_box()])
    pushed = bench.create_push("b", [make_box()])
    push_frames(bench, pushed, make_pictures(12), "raw")
    bench.worker().run_to_end(stored, pushed)
    check_numbering(bench.events(pushed))
    assert results(bench.events(pushed)) == results(bench.events(stored))
    assert not list(paths.frames_folder(bench.settings.data_dir, "b").iterdir())


def test_a_dead_worker_changes_nothing_for_pushed_frames(bench: Any, make_box: Any, make_pictures: Any) -> None:
    events = []
    for session_id, num_turns in (("a", 0), ("b", 4), ("c", 8)):
        spec = bench.create_push(session_id, [make_box()])
        push_frames(bench, spec, make_pictures(6), "raw", is_last=False)
        bench.send(spec, AddPrompt(prompt=make_box(object_id=2, frame_index=8)))
        push_frames(bench, spec, make_pictures(12), "raw", first=6)
        bench.worker(snapshot_every=3).turn(num_turns)
        bench.worker().run_to_end(spec)
        check_numbering(bench.events(spec))
        events.append(bench.events(spec))
    assert events[0] == events[1] == events[2]


def test_a_bad_pushed_frame_breaks_the_windows_and_nothing_else(bench: Any, make_box: Any, make_pictures: Any) -> None:
    spec = bench.create_push("a", [make_box()])
    push_frames(bench, spec, make_pictures(8), "png", is_last=False)
    (paths.frames_folder(bench.settings.data_dir, "a") / paths.frame_name(4, "png")).write_bytes(b"no picture")
    bench.send(spec, InputEnd())
    first = bench.worker(snapshot_every=1)
    first.turn(7)
    bench.worker().run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    assert terminal_events(events) == Counter(range(8))
    assert [event["frame_index"] for event in events if event["type"] in _TERMINAL] == list(range(8))
    assert [event["frame_index"] for event in events if event["type"] == "frame.error"] == [4]


def test_closing_drops_the_pushed_frames_that_wait(bench: Any, make_box: Any, make_pictures: Any) -> None:
    spec = bench.create_push("a", [make_box()])
    push_frames(bench, spec, make_pictures(5), "raw", is_last=False)
    worker = bench.worker()
    worker.run_until(lambda: bench.state(spec).next_frame == 3)
    bench.send(spec, CloseSession())
    worker.run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    assert list(results(events)) == [0, 1, 2]
    assert terminal_events(events) == Counter(range(5))
    assert bench.state(spec).status is SessionStatus.CLOSED


def test_a_steered_session_goes_on_behind_a_range(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()], auto_start=False)
    worker = bench.worker()
    worker.turn(2)
    bench.send(spec, Propagate(to_frame=4))
    worker.run_until(lambda: bench.events(spec)[-1]["type"] == "run.done")
    bench.send(spec, Propagate(to_frame=8))
    worker.run_until(lambda: bench.events(spec)[-1]["type"] == "run.done" and len(bench.events(spec)) > 8)
    bench.send(spec, Propagate(from_frame=2))
    worker.run_until(lambda: bench.events(spec)[-1].get("run_id") == 3 and not worker.sessions.runnable)
    events = bench.events(spec)
    assert [list(results(events, run_id)) for run_id in (1, 2, 3)] == [
        [0, 1, 2, 3, 4], [5, 6, 7, 8], list(range(2, 12))
    ]  # fmt: skip


def test_frames_before_the_damage_get_results(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()], num_frames=40)
    path = paths.video_file(bench.settings.data_dir, "local", "a")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    bench.worker().run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    frames = list(results(events))
    assert frames == list(range(len(frames)))
    assert (events[-3]["type"], events[-3]["frame_index"]) == ("frame.error", len(frames))
    assert events[-2]["num_frames"] == len(frames)


@pytest.mark.parametrize(("setting", "expected"), [(None, Compat.RELEASED), ("paper", Compat.PAPER)])
def test_weights_choose_how_they_are_run(tmp_path: Path, setting: str | None, expected: Compat) -> None:
    model, info = weights.load("tiny")
    weights.save(model, tmp_path / "mine.safetensors", replace(info, name="mine", compat=Compat.RELEASED))
    engine = Engine.load(
        Settings.model_validate({"model": str(tmp_path / "mine.safetensors"), "compat": setting, "short_side_px": 64})
    )
    assert engine.open((48, 64)).options.compat is expected
    assert engine.warm_up() > 0
