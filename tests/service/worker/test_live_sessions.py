"""A session runs to its end whatever happens around it: other sessions, late prompts, workers that die."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from univs_service.errors import BadFrameError, SessionEndedError
from univs_service.messages import (
    AddPrompt,
    CloseSession,
    DropFrame,
    InputEnd,
    PromptIn,
    Propagate,
    PushFrame,
    RefuseFrame,
    RemoveObject,
    SessionStatus,
)
from univs_service.store import paths
from univs_service.store.records import SessionSpec


def results(events: list[dict[str, Any]], run_id: int = 1) -> dict[int, list[dict[str, Any]]]:
    """Objects by frame of one run; a frame may come only once."""
    frames: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        if event["type"] == "frame.result" and event["run_id"] == run_id:
            assert event["frame_index"] not in frames, "a frame came twice"
            frames[event["frame_index"]] = event["objects"]
    return frames


def check_numbering(events: list[dict[str, Any]]) -> None:
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "session.closed"
    assert events[-1]["final_seq"] == len(events)


def test_every_frame_gets_one_result(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()])
    bench.worker().run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    assert [event["type"] for event in events] == [
        "prompt.applied", *["frame.result"] * 12, "run.done", "session.closed"
    ]  # fmt: skip
    assert list(results(events)) == list(range(12))
    assert {event["weights"] for event in events if event["type"] == "frame.result"} == {"untrained"}
    assert bench.state(spec).status is SessionStatus.DONE


def test_a_range_of_frames(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box(frame_index=3)], from_frame=5, to_frame=8)
    bench.worker().run_to_end(spec)
    assert list(results(bench.events(spec))) == [5, 6, 7, 8]


@pytest.mark.parametrize("num_turns", [1, 2, 4, 5, 8, 12])
def test_a_dead_worker_changes_nothing(bench: Any, make_box: Any, num_turns: int) -> None:
    prompts = [make_box(), make_box(object_id=2, frame_index=6)]
    undisturbed = bench.create("a", prompts)
    bench.worker().run_to_end(undisturbed)
    disturbed = bench.create("b", prompts)
    bench.worker().turn(num_turns)
    assert not bench.state(disturbed).is_ended
    bench.worker().run_to_end(disturbed)
    check_numbering(bench.events(disturbed))
    assert bench.events(disturbed) == bench.events(undisturbed)


def test_a_dead_worker_after_a_late_prompt_changes_nothing(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()])
    first = bench.worker()
    first.turn(3)
    bench.send(spec, AddPrompt(prompt=make_box(object_id=2, frame_index=9, prompt_id="late")))
    first.turn(3)
    before = bench.events(spec)
    bench.send(spec, RemoveObject(object_id=1))  # read by the second worker only
    bench.worker().run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    assert events[: len(before)] == before
    assert [event["object_id"] for event in events if event["type"] == "prompt.applied"] == [1, 2]
    assert [[found["object_id"] for found in objects] for objects in results(events).values()] == [
        *[[1]] * 6, *[[]] * 3, *[[2]] * 3
    ]  # fmt: skip


def test_a_worker_that_lost_its_lease_publishes_nothing(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()])
    stale, fresh = bench.worker(), bench.worker(worker_lease_s=60.0)
    stale.turn(3)
    fresh.run_until(lambda: bool(fresh.sessions.runnable))
    stale.loop.turn()
    assert not stale.sessions.cursors
    fresh.run_to_end(spec)
    check_numbering(bench.events(spec))
    assert list(results(bench.events(spec))) == list(range(12))


def test_a_session_handed_over_goes_on_at_once(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()])
    first, second = bench.worker(worker_lease_s=60.0), bench.worker(worker_lease_s=60.0)
    first.turn(3)
    first.sessions.hand_over()
    second.turn(1)
    assert second.sessions.cursors
    second.run_to_end(spec)
    assert list(results(bench.events(spec))) == list(range(12))


def test_lost_lines_come_back_from_redis(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()])
    bench.worker().turn(6)
    path = paths.results_file(bench.settings.data_dir, spec.session_id)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    bench.worker().run_to_end(spec)
    check_numbering(bench.events(spec))
    assert list(results(bench.events(spec))) == list(range(12))


def test_a_correction_opens_a_run_with_a_higher_revision(bench: Any, make_box: Any) -> None:
    plain = bench.create("a", [make_box()])
    bench.worker().run_to_end(plain)
    spec = bench.create("b", [make_box()])
    worker = bench.worker()
    worker.turn(8)
    bench.send(spec, AddPrompt(prompt=PromptIn(object_id=1, frame_index=4, points=[(30.0, 20.0, 1)])))
    worker.run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    assert [(event["run_id"], event["reason"]) for event in events if event["type"] == "run.done"] == [
        (1, "superseded"),
        (2, "end"),
    ]
    first, second, undisturbed = results(events), results(events, run_id=2), results(bench.events(plain))
    assert list(second) == list(range(4, 12))
    assert {objects[0]["revision"] for objects in first.values()} == {1}
    assert {objects[0]["revision"] for objects in second.values()} == {2}
    assert all(first[index] == undisturbed[index] for index in first)


def test_a_dead_worker_during_a_correction_changes_nothing(bench: Any, make_box: Any) -> None:
    ends = []
    for session_id, is_killed in (("a", False), ("b", True)):
        spec = bench.create(session_id, [make_box()])
        worker = bench.worker(worker_lease_s=0.2 if is_killed else 60.0)
        worker.turn(6)
        bench.send(spec, AddPrompt(prompt=make_box(object_id=2, frame_index=3)))
        worker.turn(5)  # two of them within the frames that are only computed again
        (bench.worker() if is_killed else worker).run_to_end(spec)
        check_numbering(bench.events(spec))
        ends.append(results(bench.events(spec), run_id=2))
    assert list(ends[0]) == list(range(3, 12))
    assert ends[0] == ends[1]


def test_a_correction_goes_back_over_a_removed_object(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box(), make_box(object_id=2, frame_index=6)])
    worker = bench.worker()
    worker.turn(4)
    bench.send(spec, RemoveObject(object_id=1))
    worker.turn(6)
    bench.send(spec, AddPrompt(prompt=make_box(object_id=2, frame_index=7)))
    worker.run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    assert list(results(events, run_id=2)) == [7, 8, 9, 10, 11]
    assert {found["object_id"] for objects in results(events, run_id=2).values() for found in objects} == {2}
    assert bench.state(spec).status is SessionStatus.DONE


def test_adding_an_object_leaves_the_other_as_it_was(bench: Any, make_box: Any) -> None:
    alone = bench.create("a", [make_box()])
    together = bench.create("b", [make_box(), make_box(object_id=2, frame_index=5)])
    bench.worker().run_to_end(alone, together)
    one, two = results(bench.events(alone)), results(bench.events(together))
    assert [objects[0] for objects in one.values()] == [objects[0] for objects in two.values()]


@pytest.mark.parametrize("encoding", ["raw", "png", "webp"])
def test_pushed_frames_give_the_masks_of_the_file(bench: Any, make_box: Any, make_pictures: Any, encoding: str) -> None:
    stored = bench.create("a", [make_box()])
    pushed = bench.create_push("b", [make_box()])
    push_frames(bench, pushed, make_pictures(12), encoding)
    worker = bench.worker()
    worker.run_to_end(stored, pushed)
    check_numbering(bench.events(pushed))
    assert results(bench.events(pushed)) == results(bench.events(stored))
    assert not list(paths.frames_folder(bench.settings.data_dir, "b").iterdir())


def test_a_dead_worker_changes_nothing_for_pushed_frames(bench: Any, make_box: Any, make_pictures: Any) -> None:
    events = []
    for session_id, num_turns in (("a", 0), ("b", 3), ("c", 7)):
        spec = bench.create_push(session_id, [make_box()])
        push_frames(bench, spec, make_pictures(6), "raw", is_last=False)
        bench.send(spec, AddPrompt(prompt=make_box(object_id=2, frame_index=8)))
        push_frames(bench, spec, make_pictures(12), "raw", first=6)
        bench.worker().turn(num_turns)
        bench.worker().run_to_end(spec)
        check_numbering(bench.events(spec))
        events.append(bench.events(spec))
    assert events[0] == events[1] == events[2]


def test_pushed_frames_cannot_be_gone_back_to(bench: Any, make_box: Any, make_pictures: Any) -> None:
    spec = bench.create_push("a", [make_box()])
    push_frames(bench, spec, make_pictures(4), "raw", is_last=False)
    bench.send(spec, AddPrompt(prompt=make_box(object_id=2, frame_index=1)), InputEnd())
    bench.worker().run_to_end(spec)
    (refused,) = [event for event in bench.events(spec) if event["type"] == "prompt.refused"]
    assert refused["problem"]["code"] == "prompt_out_of_range"
    assert list(results(bench.events(spec))) == list(range(4))


def test_a_bad_pushed_frame_gets_an_error_and_the_others_results(bench: Any, make_box: Any, make_pictures: Any) -> None:
    spec = bench.create_push("a", [make_box()])
    push_frames(bench, spec, make_pictures(6), "png", is_last=False)
    (paths.frames_folder(bench.settings.data_dir, "a") / paths.frame_name(3, "png")).write_bytes(b"no picture")
    bench.send(spec, InputEnd())
    bench.worker().run_to_end(spec)
    events = bench.events(spec)
    assert list(results(events)) == [0, 1, 2, 4, 5]
    assert [event["frame_index"] for event in events if event["type"] == "frame.error"] == [3]
    assert bench.state(spec).status is SessionStatus.DONE


def test_frames_without_a_picture_get_their_event_in_order(bench: Any, make_box: Any, make_pictures: Any) -> None:
    problem = BadFrameError("expected a picture, got none; send another").to_problem()
    events = []
    for session_id, num_turns in (("a", 0), ("b", 4), ("c", 6)):
        spec = bench.create_push(session_id, [make_box(), make_box(object_id=2, frame_index=4)])
        pictures = make_pictures(10)
        push_frames(bench, spec, pictures[:3], "raw", is_last=False)
        bench.send(spec, RefuseFrame(frame_index=3, problem=problem), DropFrame(frame_index=4, reason="overload"))
        push_frames(bench, spec, pictures, "raw", first=5)
        bench.worker().turn(num_turns)
        bench.worker().run_to_end(spec)
        check_numbering(bench.events(spec))
        events.append(bench.events(spec))
    assert events[0] == events[1] == events[2]
    told = [
        (event["type"], event["frame_index"]) for event in events[0] if "run_id" in event and "frame_index" in event
    ]
    assert told == [
        *[("frame.result", index) for index in range(3)],
        ("frame.error", 3),
        ("frame.dropped", 4),
        *[("frame.result", index) for index in range(5, 10)],
    ]
    (error,) = [event["problem"] for event in events[0] if event["type"] == "frame.error"]
    assert error["detail"] == problem.detail


@pytest.mark.parametrize("seed", range(3))
def test_any_mixture_of_frames_prompts_and_deaths_gives_each_frame_one_event(
    bench: Any, make_box: Any, make_pictures: Any, seed: int
) -> None:
    random = np.random.default_rng(seed)
    pictures = make_pictures(14)
    problem = BadFrameError("expected a picture, got none; send another").to_problem()
    script = random.choice(["push", "push", "refuse", "drop", "damaged"], size=14)
    prompted = random.integers(0, 14, size=3)
    told = []
    for session_id, num_turns in (("a", 0), ("b", int(random.integers(1, 8))), ("c", int(random.integers(8, 16)))):
        spec = bench.create_push(session_id, [make_box(frame_index=int(frame)) for frame in prompted])
        for index, kind in enumerate(script):
            if kind == "refuse":
                bench.send(spec, RefuseFrame(frame_index=index, problem=problem))
            elif kind == "drop":
                bench.send(spec, DropFrame(frame_index=index, reason="overload"))
            else:
                push_frames(bench, spec, pictures[: index + 1], "raw", first=index, is_last=False)
            if kind == "damaged":
                name = paths.frame_name(index, "raw")
                (paths.frames_folder(bench.settings.data_dir, session_id) / name).write_bytes(b"short")
        bench.send(spec, InputEnd())
        bench.worker().turn(num_turns)
        bench.worker().run_to_end(spec)
        check_numbering(bench.events(spec))
        told.append(bench.events(spec))
    assert told[0] == told[1] == told[2]
    kinds = {"push": "frame.result", "refuse": "frame.error", "damaged": "frame.error", "drop": "frame.dropped"}
    terminal = [event for event in told[0] if event["type"] in kinds.values()]
    assert [(event["frame_index"], event["type"]) for event in terminal] == [
        (index, kinds[kind]) for index, kind in enumerate(script)
    ]


def test_a_prompt_on_a_frame_without_a_picture_counts_from_the_next(
    bench: Any, make_box: Any, make_pictures: Any
) -> None:
    spec = bench.create_push("a", [make_box(frame_index=1, prompt_id="mine")])
    push_frames(bench, spec, make_pictures(1), "raw", is_last=False)
    bench.send(spec, DropFrame(frame_index=1, reason="overload"), DropFrame(frame_index=2, reason="overload"))
    push_frames(bench, spec, make_pictures(6), "raw", first=3)
    bench.worker().run_to_end(spec)
    events = bench.events(spec)
    applied = [(event["prompt_id"], event["frame_index"]) for event in events if event["type"] == "prompt.applied"]
    assert applied == [("mine", 1), ("mine", 3)]
    assert {index: len(objects) for index, objects in results(events).items()} == {0: 0, 3: 1, 4: 1, 5: 1}


@pytest.mark.parametrize("way", ["to_frame", "closed", "failed"])
def test_pushed_frames_that_are_not_run_are_dropped_one_by_one(
    bench: Any, make_box: Any, make_pictures: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    spec = bench.create_push("a", [make_box()], to_frame=3 if way == "to_frame" else None)
    push_frames(bench, spec, make_pictures(8), "raw", is_last=False)
    worker = bench.worker()
    worker.turn(4)
    num_run = len(results(bench.events(spec)))
    assert 0 < num_run <= 4
    if way == "closed":
        bench.send(spec, CloseSession())
    elif way == "failed":
        monkeypatch.setattr(bench.engine, "step", fail)
    worker.run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    dropped = [(event["frame_index"], event["reason"]) for event in events if event["type"] == "frame.dropped"]
    first = 4 if way == "to_frame" else num_run
    assert dropped == [(index, way) for index in range(first, 8)]
    assert sorted([*results(events), *(index for index, _ in dropped)]) == list(range(8))
    with pytest.raises(SessionEndedError):
        bench.send(spec, DropFrame(frame_index=8, reason="overload"))


def test_frames_before_the_damage_get_results(bench: Any, make_box: Any) -> None:
    bad = bench.create("a", [make_box()], num_frames=40)
    good = bench.create("b", [make_box()])
    path = paths.video_file(bench.settings.data_dir, "local", "a")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    bench.worker().run_to_end(bad, good)
    events = bench.events(bad)
    check_numbering(events)
    frames = list(results(events))
    assert frames == list(range(len(frames)))
    assert 0 < len(frames) < 40
    assert [event["type"] for event in events[-3:]] == ["frame.error", "run.done", "session.closed"]
    assert events[-3]["frame_index"] == len(frames)
    problem = bench.state(bad).problem
    assert problem is not None
    assert problem.code == "damaged_video"
    assert bench.state(good).status is SessionStatus.DONE


def test_a_bad_session_harms_no_other(bench: Any, make_box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    missing, broken, good = (bench.create(name, [make_box()]) for name in "abc")
    paths.video_file(bench.settings.data_dir, "local", "a").unlink()
    worker = bench.worker()
    worker.turn(3)
    worker.sessions._sessions["b"]._segmenter._segmenter.next_frame = 77  # a mistake of our own
    worker.run_to_end(missing, broken, good)
    assert bench.state(missing).status is SessionStatus.FAILED
    assert bench.state(broken).status is SessionStatus.FAILED
    assert bench.events(broken)[-2]["problem"]["code"] == "internal"
    assert list(results(bench.events(good))) == list(range(12))


def test_a_text_prompt_is_refused_and_the_session_goes_on(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [PromptIn(object_id=2, text="the square"), make_box()])
    bench.worker().run_to_end(spec)
    (refused,) = [event for event in bench.events(spec) if event["type"] == "prompt.refused"]
    assert refused["problem"]["code"] == "unsupported_prompt"
    assert list(results(bench.events(spec))) == list(range(12))


def test_closing_ends_a_session_in_order(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()])
    worker = bench.worker()
    worker.turn(4)
    bench.send(spec, CloseSession())
    worker.run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    assert (events[-2]["type"], events[-2]["reason"]) == ("run.done", "closed")
    assert events[-2]["num_frames"] == len(results(events))
    assert bench.state(spec).status is SessionStatus.CLOSED


def test_a_steered_session_waits_for_its_client_between_runs(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()], auto_start=False)
    worker = bench.worker()
    worker.turn(2)
    assert not results(bench.events(spec))
    bench.send(spec, Propagate(to_frame=3))
    worker.run_until(lambda: bench.events(spec)[-1]["type"] == "run.done")
    bench.send(spec, Propagate())
    worker.run_until(lambda: bench.events(spec)[-1]["type"] == "run.done" and len(bench.events(spec)) > 8)
    bench.send(spec, Propagate(from_frame=2, to_frame=5))
    worker.run_until(lambda: bench.events(spec)[-1].get("run_id") == 3 and not worker.sessions.runnable)
    events = bench.events(spec)
    assert [list(results(events, run_id)) for run_id in (1, 2, 3)] == [
        [0, 1, 2, 3], list(range(4, 12)), [2, 3, 4, 5]
    ]  # fmt: skip
    assert results(events, 3)[3] == results(events, 1)[3]
    bench.send(spec, CloseSession())
    worker.run_to_end(spec)
    check_numbering(bench.events(spec))


def test_a_session_whose_folder_cannot_be_written_harms_no_other(bench: Any, make_box: Any) -> None:
    stuck = bench.create("a", [make_box()])
    paths.sessions_folder(bench.settings.data_dir).mkdir()
    paths.session_folder(bench.settings.data_dir, "a").write_text("in the way")
    good = bench.create("b", [make_box()])
    worker = bench.worker()
    worker.run_to_end(good)
    assert not worker.has_ended(stuck)
    paths.session_folder(bench.settings.data_dir, "a").unlink()
    bench.worker(max_takeovers=100).run_to_end(stuck)
    assert list(results(bench.events(stuck))) == list(range(12))


def test_a_session_that_kills_workers_fails(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()], auto_start=False)
    for _ in range(bench.settings.max_takeovers):
        dying = bench.worker()
        dying.run_until(lambda dying=dying: bool(dying.store.claim("dying", dying.engines.claimable([]))))
    bench.worker(worker_lease_s=60.0).run_to_end(spec)
    problem = bench.state(spec).problem
    assert problem is not None
    assert problem.code == "worker_failed"


def fail(*_: object) -> None:
    raise RuntimeError("a mistake of ours")


def push_frames(
    bench: Any,
    spec: SessionSpec,
    pictures: list[np.ndarray[Any, np.dtype[np.uint8]]],
    encoding: str,
    *,
    first: int = 0,
    is_last: bool = True,
) -> None:
    folder: Path = paths.frames_folder(bench.settings.data_dir, spec.session_id)
    folder.mkdir(parents=True, exist_ok=True)
    for index, picture in enumerate(pictures[first:], first):
        name = paths.frame_name(index, encoding)
        if encoding == "raw":
            (folder / name).write_bytes(picture.tobytes())
        else:
            Image.fromarray(picture).save(folder / name, lossless=True)
        bench.send(
            spec,
            PushFrame.model_validate({"frame_index": index, "pts": 9000 * index, "name": name, "encoding": encoding}),
        )
    if is_last:
        bench.send(spec, InputEnd())
