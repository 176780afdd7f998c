"""A camera's frames have the rules of pushed ones: each its number and one event, whatever the camera does."""

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import av
import pytest
from tests import barcode, rtsp_server

from univs_service.messages import RtspSource, SessionStatus

NUM_FRAMES = 25
ALLOWED = {
    "input_schemes": ("rtsp",),
    "input_hosts": ("127.0.0.1",),
    "input_networks": (ip_network("127.0.0.0/8"),),
    "worker_lease_s": 60.0,
}


@pytest.fixture(scope="module")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("camera") / "camera.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "10", "bf": "0", "preset": "ultrafast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = barcode.WIDTH, barcode.HEIGHT, "yuv420p"
        for number in range(NUM_FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(barcode.draw(number), format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def camera(camera_clip: Path) -> Iterator[str]:
    with rtsp_server.serve(camera_clip) as port:
        yield f"rtsp://127.0.0.1:{port}/camera"


@pytest.fixture
def seen(bench: Any, monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """By index of the frame, the number in the pixels that the network saw."""
    found: dict[int, int] = {}
    step = bench.engine.step

    def watch(segmenter: Any, frame: Any, *coming: Any) -> Any:
        found[frame.index] = barcode.read(frame.image.permute(1, 2, 0).numpy())
        return step(segmenter, frame, *coming)

    monkeypatch.setattr(bench.engine, "step", watch)
    return found


def create(bench: Any, session_id: str, url: str, prompts: Any = (), retry_for_s: float = 0.0, **fields: Any) -> Any:
    return bench._create(session_id, prompts, RtspSource(kind="rtsp", url=url, retry_for_s=retry_for_s), None, fields)


def terminal(events: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        if event["type"] in {"frame.result", "frame.dropped", "frame.error"}:
            assert event["frame_index"] not in found, "one event a frame"
            found[event["frame_index"]] = event
    return found


def test_each_frame_has_its_number_its_time_and_one_event(
    bench: Any, make_box: Any, camera: str, seen: dict[int, int]
) -> None:
    spec = create(bench, "a", camera, [make_box()])
    bench.worker(**ALLOWED).run_to_end(spec)
    events = bench.events(spec)
    answers = terminal(events)
    assert list(answers) == list(range(NUM_FRAMES))
    assert seen, "some frames were run"
    assert all(number == index for index, number in seen.items())
    results = {index: event for index, event in answers.items() if event["type"] == "frame.result"}
    assert results.keys() == seen.keys()
    start = min(results)
    for index, event in results.items():
        assert event["time_base"] == "1/90000"
        assert abs(event["pts"] - results[start]["pts"] - 9000 * (index - start)) < 9000 / 4
    assert {event["reason"] for event in answers.values() if event["type"] == "frame.dropped"} <= {"overload"}
    assert [event["reason"] for event in events if event["type"] == "run.done"] == ["end"]
    assert bench.state(spec).status is SessionStatus.DONE


def test_a_camera_that_comes_back_goes_on_with_the_next_number(
    bench: Any, make_box: Any, camera: str, seen: dict[int, int]
) -> None:
    spec = create(bench, "a", camera, [make_box()], retry_for_s=60.0, to_frame=NUM_FRAMES + 5)
    bench.worker(**ALLOWED).run_to_end(spec)
    events = bench.events(spec)
    answers = terminal(events)
    assert list(answers)[: NUM_FRAMES + 6] == list(range(NUM_FRAMES + 6))
    news = [event for event in events if event["type"].startswith("input.")]
    assert [event["type"] for event in news] == ["input.lost", "input.back"]
    assert news[0]["problem"]["code"] == "input_unavailable"
    assert news[1]["frame_index"] == NUM_FRAMES
    assert all(number == index % NUM_FRAMES for index, number in seen.items())
    pts = [event["pts"] for event in answers.values() if event["type"] == "frame.result"]
    assert pts == sorted(set(pts)), "time goes on over the gap"


def test_a_worker_that_takes_over_goes_on_with_the_next_number(bench: Any, make_box: Any, camera: str) -> None:
    spec = create(bench, "a", camera, [make_box()], retry_for_s=60.0, to_frame=NUM_FRAMES + 5)
    first = bench.worker(**ALLOWED)
    first.run_until(lambda: bench.state(spec).next_frame > 3)
    first.sessions.hand_over()
    before = bench.events(spec)
    bench.worker(**ALLOWED).run_to_end(spec)
    events = bench.events(spec)
    assert events[: len(before)] == before
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert list(terminal(events))[: NUM_FRAMES + 6] == list(range(NUM_FRAMES + 6))


def test_a_camera_that_stays_away_fails_the_session_with_the_reason(bench: Any, make_box: Any) -> None:
    spec = create(bench, "a", "rtsp://127.0.0.1:9/camera", [make_box()], retry_for_s=0.1)
    bench.worker(**ALLOWED).run_to_end(spec)
    events = bench.events(spec)
    assert [event["reason"] for event in events if event["type"] in {"run.done", "session.closed"}] == [
        "source_lost",
        "source_lost",
    ]
    state = bench.state(spec)
    assert state.status is SessionStatus.FAILED
    assert state.problem.code == "input_unavailable"


def test_a_camera_that_is_allowed_no_more_is_not_connected_to(bench: Any, make_box: Any, camera: str) -> None:
    spec = create(bench, "a", camera, [make_box()])
    bench.worker(**ALLOWED | {"input_networks": ()}).run_to_end(spec)
    assert bench.state(spec).problem.code == "forbidden_input"
    assert not terminal(bench.events(spec))
