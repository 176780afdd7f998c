"""Everything of some categories, and stills, from a service as a user starts it."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from univs_service.client import AsyncUniVSClient, ProblemError
from univs_service.messages import ConfigApplied, FrameResultEvent, RunDone, SessionClosed, StreamEvent

NAMES = ["square", {"name": "ground", "is_thing": False}]


async def test_a_task_over_a_file_changes_while_it_runs(running_service: Any, make_clip: Any) -> None:
    async with AsyncUniVSClient(running_service.url) as client:
        video = await client.upload(make_clip(30))
        session = await client.create_session(video, task=["vis", "vss", "vps"], vocabulary="ytvis21", auto_start=False)
        assert session.task == ["vis", "vss", "vps"]
        await client.propagate(session, to_frame=9)
        events: list[StreamEvent] = []
        async for event in client.stream(session, until_closed=True):
            events.append(event)
            if isinstance(event, RunDone) and event.run_id == 1:
                asked = await client.configure(session, task="vss", vocabulary=["square"])
                await client.propagate(session)
            elif isinstance(event, RunDone):
                await client.delete(session)
        applied = [event for event in events if isinstance(event, ConfigApplied)]
        assert [(event.task, event.num_names) for event in applied] == [(["vis", "vss", "vps"], 40), (["vss"], 41)]
        assert applied[1].config_id == asked
        found = [event for event in events if isinstance(event, FrameResultEvent)]
        assert [event.frame_index for event in found] == list(range(30))
        for event in found:
            assert event.weights == "untrained" and "random" in (event.warning or "")
            assert event.semantic is not None
            assert (event.panoptic is None) == (event.frame_index > 9)
        assert isinstance(events[-1], SessionClosed)
        with pytest.raises(ProblemError, match="ytvis21"):
            await client.create_session(video, task="vis", vocabulary="klingon")


@pytest.mark.parametrize(("kind", "orientation"), [("JPEG", 7), ("PNG", 6), ("WEBP", 1)])
def test_a_still_is_a_clip_of_one_frame(
    running_service: Any, make_pictures: Any, tmp_path: Path, kind: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"still.{kind.lower()}"
    Image.fromarray(make_pictures(1)[0]).save(path, format=kind, exif=exif, lossless=True, quality=95)
    upright = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    session = running_service.start_session(path, [], task=["vis", "vps"], vocabulary=NAMES)
    events = running_service.events(session["session_id"])
    (result,) = [event for event in events if event["type"] == "frame.result"]
    assert (result["frame_index"], result["size"]) == (0, [upright.height, upright.width])
    assert result["panoptic"] is not None and "random" in result["warning"]
    assert events[-1]["type"] == "session.closed"
    video_id = session["source"]["video_id"]
    video = running_service.http.get(f"/v1/videos/{video_id}").json()
    assert (video["is_still"], video["num_frames"], video["frame_rate"]) == (True, 1, None)
    shown = Image.open(io.BytesIO(running_service.http.get(f"/v1/videos/{video_id}/frames/0").content))
    difference = [abs(a - b) for a, b in zip(shown.tobytes(), upright.tobytes(), strict=True)]
    assert shown.size == upright.size and sum(difference) / len(difference) < 15
    export = running_service.http.get(f"/v1/sessions/{session['session_id']}/exports/panoptic")
    assert export.status_code == 200, export.text
    assert any(name.endswith("panoptic.json") for name in zipfile.ZipFile(io.BytesIO(export.content)).namelist())
