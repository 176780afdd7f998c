"""Of the results of several runs, exports hold the newest answer for each object of each frame."""

from pathlib import Path
from typing import Any

from tests.service.exports.results import answer, frame, square

from univs_service.exports.recorded import RecordedResults
from univs_service.messages import Event, FrameResultEvent, ObjectRemoved, ObjectResult

A, B = 1, 2


def an(object_id: int, revision: int, **fields: Any) -> ObjectResult:
    return answer(object_id, square(object_id, revision)).model_copy(update={"revision": revision, **fields})


def result(index: int, *objects: ObjectResult, **fields: Any) -> FrameResultEvent:
    return frame(index, *objects).model_copy(update=fields)


def read(folder: Path, *events: Event) -> dict[int, dict[int, int]]:
    """The revision of each object by frame."""
    path = folder / "results.ndjson"
    path.write_bytes(b"".join(event.model_dump_json().encode() + b"\n" for event in events))
    found = list(RecordedResults(path, len(events)))
    assert [each.frame_index for each in found] == sorted(each.frame_index for each in found)
    return {each.frame_index: {one.object_id: one.revision for one in each.objects} for each in found}


def test_the_later_run_counts_from_its_first_frame_on(tmp_path: Path) -> None:
    first = [result(index, an(A, 1)) for index in range(4)]
    second = [result(index, an(A, 2), run_id=2) for index in (2, 3)]
    assert read(tmp_path, *first, *second) == {0: {A: 1}, 1: {A: 1}, 2: {A: 2}, 3: {A: 2}}


def test_a_run_backward_leaves_objects_that_are_not_in_it_as_they_were(tmp_path: Path) -> None:
    forward = [result(index, an(A, 1)) for index in range(3)]
    backward = [result(index, an(B, 1), run_id=2, direction="backward") for index in (2, 1, 0)]
    assert read(tmp_path, *forward, *backward) == {index: {A: 1, B: 1} for index in range(3)}


def test_a_later_run_forward_keeps_what_only_a_run_backward_saw(tmp_path: Path) -> None:
    forward = [result(index, an(A, 1)) for index in range(3)]
    backward = [result(index, an(B, 1), run_id=2, direction="backward") for index in (1, 0)]
    again = [result(index, an(A, 2), run_id=3) for index in range(3)]
    assert read(tmp_path, *forward, *backward, *again) == {0: {A: 2, B: 1}, 1: {A: 2, B: 1}, 2: {A: 2}}


def test_a_removed_object_is_gone_from_its_frame_on_until_it_comes_again(tmp_path: Path) -> None:
    first = [result(index, an(A, 1), an(B, 1)) for index in range(4)]
    removed = ObjectRemoved(seq=9, object_id=A, frame_index=2)
    assert read(tmp_path, *first, removed) == {0: {A: 1, B: 1}, 1: {A: 1, B: 1}, 2: {B: 1}, 3: {B: 1}}
    again = result(3, an(A, 1), an(B, 1), run_id=2)
    assert read(tmp_path, *first, removed, again)[3] == {A: 1, B: 1}


def test_entities_are_those_of_the_last_run_forward(tmp_path: Path) -> None:
    entity = an(30, 0, category_id=1, label="person", is_thing=True)
    other = an(31, 0, category_id=1, label="person", is_thing=True)
    events = [
        result(0, an(A, 1), entity),
        result(0, an(A, 2), other, run_id=2),
        result(0, an(B, 1), run_id=3, direction="backward"),
    ]
    assert read(tmp_path, *events) == {0: {A: 2, B: 1, 31: 0}}
