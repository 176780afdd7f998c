"""The service with published semantics: windows of five frames; the first is answered when the last is seen."""

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any


def test_windows_come_out_the_same_over_a_kill(
    start_service: Any, tmp_path: Path, make_clip: Any, make_box: Any, read_events: Any
) -> None:
    clip, prompts = make_clip(24), [make_box(), make_box(object_id=2, frame_index=8)]
    with start_service(tmp_path / "data", compat="released") as service:
        undisturbed = service.events(service.start_session(clip, prompts)["session_id"])
        session = service.start_session(clip, prompts)
        disturbed: list[dict[str, Any]] = []
        with service.socket(session["session_id"]) as socket:
            for event in read_events(socket):
                disturbed.append(event)
                if event.get("frame_index") == 11 and event["type"] == "frame.result":
                    os.kill(service.child_id("worker"), signal.SIGKILL)
        assert disturbed == undisturbed
        assert service.results(session["session_id"]) == undisturbed
    frames = Counter(event["frame_index"] for event in undisturbed if event["type"] == "frame.result")
    assert frames == Counter(range(24))
