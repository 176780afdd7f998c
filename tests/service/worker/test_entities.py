"""A session finds entities by their categories, beside prompted objects or alone, whatever happens around it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.model.inference.entities.streams import credulous, network
from tests.service.worker.conftest import Bench
from tests.service.worker.test_live_sessions import check_numbering, push_frames

from univs.inference.entities.options import EntityOptions, paper_entities, released_vis
from univs.inference.options import options_for
from univs.weights import WeightsInfo
from univs_service.embedded import EmbeddedValkey
from univs_service.errors import BadFrameError
from univs_service.messages import AddPrompt, CategoryIn, Configure, InputEnd, Propagate, RefuseFrame, SessionStatus
from univs_service.settings import Settings
from univs_service.worker.engine import Engine

NAMES: list[str | CategoryIn] = ["square", CategoryIn(name="ground", is_thing=False), "noise"]
ALL = Configure(task=["vis", "vss", "vps"], vocabulary=NAMES)
VIS = Configure(task="vis", vocabulary=NAMES)


def few(options: EntityOptions) -> EntityOptions:
    return replace(options, detection=replace(options.detection, max_entities=3))


def windows() -> EntityOptions:
    """Published settings in small: answers come in blocks, well behind those of prompted objects."""
    options = credulous(few(released_vis()))
    return replace(options, inference=replace(options.inference, clip_length=3), answer_block=4)


OPTIONS = {"paper": lambda: credulous(few(paper_entities(64))), "windows": windows}


@pytest.fixture(scope="session")
def engines() -> Callable[[str], Engine]:
    """Networks with random weights that believe what they find."""
    torch.set_num_threads(1)
    model = network()
    info = WeightsInfo("tiny", "", False, "untrained", model.config)
    inference = options_for(info.compat, 64)
    made = {name: Engine(model, info, inference, entity_options=options()) for name, options in OPTIONS.items()}
    return made.__getitem__


@pytest.fixture
def make_bench(tmp_path: Path, engines: Callable[[str], Engine]) -> Iterator[Callable[[str], Bench]]:
    with EmbeddedValkey(tmp_path / "valkey") as valkey:
        settings = Settings(
            redis_url=valkey.url, data_dir=tmp_path, model="tiny", snapshot_every=4, worker_lease_s=0.2,
            max_takeovers=1000,
        )  # fmt: skip
        made: list[Bench] = []

        def make(options: str = "paper") -> Bench:
            made.append(Bench(settings, engines(options)))
            return made[-1]

        yield make
        for bench in made:
            for worker in bench.workers:
                worker.close()


def results(events: list[dict[str, Any]], run_id: int = 1) -> dict[int, dict[str, Any]]:
    found = [event for event in events if event["type"] == "frame.result" and event["run_id"] == run_id]
    assert len({event["frame_index"] for event in found}) == len(found), "a frame came twice"
    return {event["frame_index"]: event for event in found}


def entities(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in result["objects"] if one["category_id"] is not None]


def answers(result: dict[str, Any]) -> tuple[Any, ...]:
    return entities(result), result["semantic"], result["panoptic"]


def told(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


@pytest.mark.parametrize("options", list(OPTIONS))
def test_every_frame_gets_the_answers_that_were_asked_for(make_bench: Any, options: str) -> None:
    bench = make_bench(options)
    spec = bench.create("a", configure=ALL)
    bench.worker(worker_lease_s=60.0).run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    (applied,) = told(events, "config.applied")
    assert (applied["frame_index"], applied["task"], applied["num_names"]) == (0, ["vis", "vss", "vps"], 3)
    assert "random" in applied["warning"]
    found = results(events)
    assert list(found) == list(range(12))
    assert any(entities(result) for result in found.values())
    for result in found.values():
        assert "random" in result["warning"]
        for one in entities(result):
            assert one["label"] == ["square", "ground", "noise"][one["category_id"] - 1]
            assert one["is_thing"] == (one["label"] != "ground")
            assert (one["revision"], one["mask"]["size"]) == (0, [48, 64])
        for name in ("semantic", "panoptic"):
            segments = result[name]["segments_info"]
            assert sum(segment["area"] for segment in segments) <= 48 * 64
            assert [segment["id"] for segment in segments] == sorted({segment["id"] for segment in segments})
    assert bench.state(spec).status is SessionStatus.DONE
    assert bench.state(spec).num_objects > 0


@pytest.mark.parametrize(("options", "num_turns"), [("paper", 2), ("paper", 7), ("windows", 7), ("windows", 11)])
def test_a_dead_worker_changes_nothing(make_bench: Any, make_box: Any, options: str, num_turns: int) -> None:
    bench = make_bench(options)
    prompts = [make_box(object_id=5, frame_index=3)]
    undisturbed = bench.create("a", prompts, configure=ALL)
    bench.worker(worker_lease_s=60.0).run_to_end(undisturbed)
    disturbed = bench.create("b", prompts, configure=ALL)
    bench.worker().turn(num_turns)
    assert not bench.state(disturbed).is_ended
    bench.worker(worker_lease_s=60.0).run_to_end(disturbed)
    check_numbering(bench.events(disturbed))
    assert bench.events(disturbed) == bench.events(undisturbed)


def test_prompted_objects_are_what_they_are_without_entities(make_bench: Any, make_box: Any) -> None:
    bench = make_bench()
    prompts = [make_box(object_id=1), make_box(object_id=3, frame_index=5)]
    alone = bench.create("a", prompts)
    beside = bench.create("b", prompts, configure=VIS)
    bench.worker(worker_lease_s=60.0).run_to_end(alone, beside)
    one, two = results(bench.events(alone)), results(bench.events(beside))
    for index in range(12):
        prompted = [found for found in two[index]["objects"] if found["category_id"] is None]
        assert prompted == one[index]["objects"]
        assert not {found["object_id"] for found in entities(two[index])} & {1, 3}
    assert {found["object_id"] for result in two.values() for found in entities(result)} >= {2, 4}


def test_a_prompt_with_the_id_of_an_entity_is_refused(make_bench: Any, make_box: Any) -> None:
    bench = make_bench()
    spec = bench.create("a", configure=VIS)
    worker = bench.worker(worker_lease_s=60.0)
    worker.turn(4)
    bench.send(spec, AddPrompt(prompt=make_box(object_id=1, frame_index=9, prompt_id="mine")))
    worker.run_to_end(spec)
    (refused,) = told(bench.events(spec), "prompt.refused")
    assert (refused["prompt_id"], refused["problem"]["code"]) == ("mine", "object_taken")
    assert list(results(bench.events(spec))) == list(range(12))


@pytest.mark.parametrize("options", list(OPTIONS))
def test_a_session_changes_what_it_is_asked_for_while_it_runs(make_bench: Any, make_box: Any, options: str) -> None:
    bench = make_bench(options)
    spec = bench.create("a", [make_box(object_id=50)])
    worker = bench.worker(worker_lease_s=60.0)
    changes: list[Configure] = [VIS, Configure(task="vss"), Configure(task="vos"), Configure(task=["vis", "vps"])]
    for number, change in enumerate(changes):
        worker.turn(2)
        bench.send(spec, change.model_copy(update={"config_id": str(number)}))
    worker.run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    applied = told(events, "config.applied")
    assert [(event["config_id"], event["task"]) for event in applied] == [
        ("0", ["vis"]), ("1", ["vss"]), ("2", ["vos"]), ("3", ["vis", "vps"]),
    ]  # fmt: skip
    starts = [event["frame_index"] for event in applied]
    assert starts == sorted(set(starts)) and starts[0] > 0
    found = results(events)
    assert list(found) == list(range(12))
    for index, result in found.items():
        phase = sum(index >= start for start in starts)
        assert [one["object_id"] for one in result["objects"] if one["category_id"] is None] == [50]
        if phase in (0, 3):
            assert (answers(result), result["warning"]) == (([], None, None), None)
    if options == "paper":  # windows answer later, by what is asked for then
        first = {one["object_id"] for index in range(starts[0], starts[1]) for one in entities(found[index])}
        last = {one["object_id"] for index in range(starts[3], 12) for one in entities(found[index])}
        assert first and last and not first & last
        assert all(found[index]["semantic"] and not entities(found[index]) for index in range(starts[1], starts[2]))
        assert all(found[index]["panoptic"] for index in range(starts[3], 12))


def test_a_vocabulary_is_added_while_a_session_runs(make_bench: Any) -> None:
    bench = make_bench()
    events = []
    for session_id, is_killed in (("a", False), ("b", True)):
        spec = bench.create(session_id, configure=VIS)
        worker = bench.worker(worker_lease_s=0.2 if is_killed else 60.0)
        worker.turn(4)
        bench.send(spec, Configure(config_id="more", vocabulary="coco"))
        worker.turn(3)
        (bench.worker(worker_lease_s=60.0) if is_killed else worker).run_to_end(spec)
        check_numbering(bench.events(spec))
        assert [event["num_names"] for event in told(bench.events(spec), "config.applied")] == [3, 83]
        assert told(bench.events(spec), "config.applied")[1]["task"] == ["vis"]
        events.append(results(bench.events(spec)))
    assert list(events[0]) == list(range(12))
    labels = {one["label"] for index in range(6, 12) for one in entities(events[0][index])}
    assert labels - {"square", "ground", "noise"}  # random weights like any name


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Configure(config_id="c", task="vis", vocabulary="klingon"), "unknown_vocabulary"),
        (Configure(config_id="c", task="vis", vocabulary=[f"name {n}" for n in range(2046)]), "too_many"),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_session_goes_on(make_bench: Any, command: Configure, code: str) -> None:
    bench = make_bench()
    spec = bench.create("a", configure=VIS)
    worker = bench.worker(worker_lease_s=60.0)
    worker.turn(3)
    bench.send(spec, command)
    worker.run_to_end(spec)
    events = bench.events(spec)
    (refused,) = told(events, "config.refused")
    assert (refused["config_id"], refused["problem"]["code"]) == ("c", code)
    assert list(results(events)) == list(range(12))
    assert bench.state(spec).status is SessionStatus.DONE


@pytest.mark.parametrize("options", list(OPTIONS))
def test_a_correction_leaves_entities_as_they_were(make_bench: Any, make_box: Any, options: str) -> None:
    bench = make_bench(options)
    undisturbed, spec = (bench.create(name, [make_box(object_id=9)], configure=ALL, from_frame=1) for name in "ab")
    worker = bench.worker(worker_lease_s=60.0)
    worker.turn(20)
    bench.send(spec, AddPrompt(prompt=make_box(object_id=9, frame_index=4)))
    worker.run_to_end(undisturbed, spec)
    check_numbering(bench.events(spec))
    one, two = results(bench.events(undisturbed)), results(bench.events(spec), run_id=2)
    assert list(two)[-1] == 11
    assert 4 in two and any(entities(result) for result in two.values())
    for index, result in two.items():
        assert answers(result) == answers(one[index])


def test_a_steered_session_gives_the_same_entities_again(make_bench: Any) -> None:
    bench = make_bench()
    spec = bench.create("a", configure=VIS, auto_start=False)
    worker = bench.worker(worker_lease_s=60.0)
    worker.turn()
    for number, wish in enumerate((Propagate(from_frame=2, to_frame=6), Propagate(from_frame=3, to_frame=5)), 1):
        bench.send(spec, wish)
        worker.run_until(lambda number=number: len(told(bench.events(spec), "run.done")) == number)
    first, second = results(bench.events(spec)), results(bench.events(spec), run_id=2)
    assert (list(first), list(second)) == ([2, 3, 4, 5, 6], [3, 4, 5])
    assert entities(first[4])
    assert all(answers(first[index]) == answers(second[index]) for index in second)


@pytest.mark.parametrize("options", list(OPTIONS))
def test_pushed_frames_without_a_picture_and_dead_workers_leave_each_frame_one_event(
    make_bench: Any, make_pictures: Any, options: str
) -> None:
    bench = make_bench(options)
    problem = BadFrameError("expected a picture, got none; send another").to_problem()
    events = []
    for session_id, num_turns in (("a", 0), ("b", 6)):
        spec = bench.create_push(session_id, configure=ALL)
        pictures: list[np.ndarray[Any, np.dtype[np.uint8]]] = make_pictures(10)
        push_frames(bench, spec, pictures[:4], "raw", is_last=False)
        bench.send(spec, RefuseFrame(frame_index=4, problem=problem))
        push_frames(bench, spec, pictures, "raw", first=5, is_last=False)
        bench.send(spec, InputEnd())
        bench.worker(worker_lease_s=0.2 if num_turns else 60.0).turn(num_turns)
        bench.worker(worker_lease_s=60.0).run_to_end(spec)
        check_numbering(bench.events(spec))
        events.append(bench.events(spec))
    assert events[0] == events[1]
    assert list(results(events[0])) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert [event["frame_index"] for event in told(events[0], "frame.error")] == [4]


def test_names_that_cannot_be_read_are_refused(make_bench: Any, engines: Any) -> None:
    bench = make_bench()
    trained = WeightsInfo("tiny", "", True, "", network().config)
    bench.engine = Engine(network(), trained, options_for(trained.compat, 64))
    assert "text encoder" in bench.engine.model_info.no_categories
    assert bench.engine.model_info.tasks == ["vos", "pvos"]
    spec = bench.create("a", configure=VIS)
    bench.worker(worker_lease_s=60.0).run_to_end(spec)
    (refused,) = told(bench.events(spec), "config.refused")
    assert refused["problem"]["code"] == "unsupported_task"
    assert list(results(bench.events(spec))) == list(range(12))
