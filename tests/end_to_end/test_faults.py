"""Processes die; what users see does not change."""

import os
import select
import signal
import sys
from typing import Any

import pytest


def wait_for_end(process_id: int, timeout_s: float = 10.0) -> bool:
    """Wait until a process that is not ours has ended."""
    try:
        process = os.pidfd_open(process_id)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], timeout_s)[0])
    finally:
        os.close(process)


def test_a_killed_worker_leaves_no_trace_in_the_results(
    running_service: Any, make_clip: Any, make_box: Any, read_events: Any
) -> None:
    clip, prompts = make_clip(60), [make_box(), make_box(object_id=2, frame_index=30)]
    undisturbed = running_service.events(running_service.start_session(clip, prompts)["session_id"])
    session = running_service.start_session(clip, prompts)
    disturbed: list[dict[str, Any]] = []
    with running_service.socket(session["session_id"]) as socket:
        for event in read_events(socket):
            disturbed.append(event)
            if event.get("frame_index") == 13 and event["type"] == "frame.result":
                os.kill(running_service.child_id("worker"), signal.SIGKILL)
    assert [event["seq"] for event in disturbed] == list(range(1, len(disturbed) + 1))
    assert disturbed == undisturbed
    assert running_service.results(session["session_id"]) == undisturbed


def test_a_killed_gateway_is_back_and_the_client_goes_on(running_service: Any, make_clip: Any, make_box: Any) -> None:
    session = running_service.start_session(make_clip(40), [make_box()])
    os.kill(running_service.child_id("gateway"), signal.SIGKILL)
    events = running_service.events(session["session_id"])  # waits in the queue of the listening socket
    assert [event["frame_index"] for event in events if event["type"] == "frame.result"] == list(range(40))


def test_a_killed_valkey_is_back_with_what_it_held(running_service: Any, make_clip: Any, make_box: Any) -> None:
    clip, prompts = make_clip(40), [make_box()]
    before = running_service.start_session(clip, prompts)["session_id"]
    events = running_service.events(before)
    during = running_service.start_session(clip, prompts)["session_id"]
    os.kill(running_service.child_id("valkey-server"), signal.SIGKILL)
    after = running_service.start_session(clip, prompts)["session_id"]
    for session_id in (before, during, after):
        running_service.wait_until_ended(session_id)
        found = running_service.results(session_id)
        assert [event["seq"] for event in found] == list(range(1, len(events) + 1))
        assert found == events


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PDEATHSIG is Linux's")
def test_a_killed_service_leaves_no_process_behind(start_service: Any, tmp_path: Any, list_children: Any) -> None:
    with start_service(tmp_path / "data") as service:
        processes = [process_id for process_id, _ in list_children(service.process.pid)]
        assert len(processes) == 3
        service.process.kill()
        assert all(wait_for_end(process_id) for process_id in processes)


def test_a_stopped_service_goes_on_where_it_was(
    start_service: Any, tmp_path: Any, make_clip: Any, make_box: Any, list_children: Any
) -> None:
    with start_service(tmp_path / "data") as service:
        session = service.start_session(make_clip(10), [make_box()])
        events = service.events(session["session_id"])
        interrupted = service.start_session(make_clip(60), [make_box()])
        processes = [process_id for process_id, _ in list_children(service.process.pid)]
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(30) == 0
        assert all(wait_for_end(process_id) for process_id in processes)
    with start_service(tmp_path / "data") as service:
        assert service.results(session["session_id"]) == events
        frames = [e["frame_index"] for e in service.events(interrupted["session_id"]) if e["type"] == "frame.result"]
        assert frames == list(range(60))
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0
