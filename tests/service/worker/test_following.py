"""What a session chooses of how its objects are followed."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.service.worker.test_live_sessions import check_numbering, results

from univs_service.messages import Following, PromptIn


def objects_by_id(bench: Any, spec: Any) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for objects in results(bench.events(spec)).values():
        for answer in objects:
            found.setdefault(answer["object_id"], []).append(answer)
    return found


def a_box(object_id: int, frame_index: int, left: int, top: int) -> PromptIn:
    return PromptIn(object_id=object_id, frame_index=frame_index, box=(left, top, left + 20, top + 16))


@given(
    others=st.lists(
        st.tuples(st.sampled_from([1, 7]), st.integers(0, 11), st.integers(0, 40), st.integers(0, 30)),
        min_size=1, max_size=3,
    ),
    number=st.uuids(),
)  # fmt: skip
@settings(
    deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_adding_object_b_leaves_the_results_of_object_a_unchanged(
    bench: Any, make_box: Any, others: list[tuple[int, int, int, int]], number: Any
) -> None:
    first = make_box(object_id=4, frame_index=2)
    alone = bench.create(f"{number}-a", [first], following=Following(isolation="strict"))
    together = bench.create(
        f"{number}-b", [first, *(a_box(*other) for other in others)], following=Following(isolation="strict")
    )
    bench.worker(worker_lease_s=60.0).run_to_end(alone, together)
    assert objects_by_id(bench, together)[4] == objects_by_id(bench, alone)[4]


def test_joint_objects_see_each_other(bench: Any, make_box: Any) -> None:
    prompts = [make_box(), a_box(2, 0, 30, 10)]
    apart = bench.create("a", prompts)
    joint = bench.create("b", prompts, following=Following(isolation="joint"))
    bench.worker().run_to_end(apart, joint)
    assert objects_by_id(bench, joint)[1] != objects_by_id(bench, apart)[1]


def test_isolation_outlives_a_worker(bench: Any, make_box: Any) -> None:
    prompts = [make_box(), a_box(2, 0, 30, 10)]
    undisturbed = bench.create("a", prompts, following=Following(isolation="joint"))
    bench.worker().run_to_end(undisturbed)
    disturbed = bench.create("b", prompts, following=Following(isolation="joint"))
    bench.worker().turn(7)
    assert not bench.state(disturbed).is_ended
    bench.worker().run_to_end(disturbed)
    check_numbering(bench.events(disturbed))
    assert bench.events(disturbed) == bench.events(undisturbed)


@pytest.mark.parametrize(("after", "state"), [(0, "lost"), (50, "occluded")])
def test_a_session_says_when_an_object_is_absent_and_when_it_is_lost(
    bench: Any, make_box: Any, after: int, state: str
) -> None:
    spec = bench.create("a", [make_box()], following=Following(presence_threshold=1.0, lost_after_frames=after))
    bench.worker().run_to_end(spec)
    shown, *later = objects_by_id(bench, spec)[1]
    assert shown["state"] == "visible"  # a prompt is taken at its word
    assert {answer["state"] for answer in later} == {state}
    assert all(answer["area"] == 0 and answer["presence"] < 1 for answer in later)
