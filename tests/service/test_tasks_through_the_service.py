"""From the client through gateway, Valkey and worker and back: entities of a file and of a still."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.model.inference.entities.streams import credulous, network
from tests.service.worker.conftest import Worker

from univs.inference.entities.options import paper_entities
from univs.inference.options import options_for
from univs.weights import WeightsInfo
from univs_service.client import AsyncUniVSClient, ProblemError
from univs_service.exports import ResultsDocument
from univs_service.messages import ConfigApplied, FrameResultEvent, RunDone, StreamEvent, WorkerInfo
from univs_service.settings import Settings
from univs_service.worker.engine import Engine


class TellingWorker(Worker):
    """A worker whose heartbeat tells what it can do."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._engine = engine
        super().__init__(settings, engine)

    def describe(self, num_sessions: int) -> WorkerInfo:
        return super().describe(num_sessions).model_copy(update={"models": [self._engine.model_info]})


@contextmanager
def running_worker(settings: Settings) -> Iterator[None]:
    """A worker on a thread, with random weights that believe what they find."""
    torch.set_num_threads(1)
    model = network()
    info = WeightsInfo("tiny", "", False, "untrained", model.config)
    engine = Engine(model, info, options_for(info.compat, 64), entity_options=credulous(paper_entities(64)))
    worker, is_over = TellingWorker(settings, engine), threading.Event()
    worker.keeper.beat()

    def run() -> None:
        while not is_over.is_set():
            worker.turn()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        worker.close()


@pytest.fixture
def patient(settings: Settings) -> Settings:
    return settings.model_copy(update={"worker_lease_s": 60.0, "probe_timeout_s": 300.0})


async def test_a_file_gives_entities_under_the_ids_of_a_data_set_and_what_is_asked_for_later(
    make_service: Any, patient: Settings, clip: Path, tmp_path: Path
) -> None:
    service = await make_service(patient)
    with running_worker(patient):
        async with AsyncUniVSClient(service.url) as client:
            video = await client.upload(clip)
            with pytest.raises(ProblemError, match=r"coco_panoptic.*klingon"):
                await client.create_session(video, task="vis", vocabulary="klingon")
            session = await client.create_session(video, task="vis", vocabulary="coco", auto_start=False)
            await client.propagate(session, to_frame=5)
            events, asked = list[StreamEvent](), ""
            async with client.stream(session, until_closed=True) as stream:
                async for event in stream:
                    events.append(event)
                    match event:
                        case RunDone(run_id=1):
                            asked = await stream.configure(task=["vis", "vps"], vocabulary=["unicorn"])
                        case ConfigApplied(config_id=config_id) if config_id == asked:
                            await client.propagate(session)
                        case RunDone():
                            await client.delete(session)
            applied = [event for event in events if isinstance(event, ConfigApplied)]
            assert [(event.task, event.num_names) for event in applied] == [(["vis"], 80), (["vis", "vps"], 81)]
            assert applied[1].config_id == asked
            found = [event for event in events if isinstance(event, FrameResultEvent)]
            assert [event.frame_index for event in found] == list(range(12))
            assert all(event.objects and "random" in (event.warning or "") for event in found)
            assert {one.category_id for event in found for one in event.objects} <= set(range(1, 92))
            assert [event.panoptic is not None for event in found] == [event.frame_index > 5 for event in found]
            assert [event async for event in client.results(session)] == events
            written = await client.export(session, "json", tmp_path / "found.json")
            frames = ResultsDocument.model_validate_json(written.read_bytes()).frames
            assert [frame.objects for frame in frames] == [event.objects for event in found]
            assert [frame.panoptic for frame in frames] == [event.panoptic for event in found]


async def test_a_still_is_answered_as_it_is_shown(make_service: Any, patient: Settings, tmp_path: Path) -> None:
    service = await make_service(patient)
    exif = Image.Exif()
    exif[0x0112] = 5  # mirrored and turned
    random = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(random).save(tmp_path / "still.jpg", exif=exif)
    with running_worker(patient):
        async with AsyncUniVSClient(service.url) as client:
            video = await client.upload(tmp_path / "still.jpg")
            assert (video.is_still, video.num_frames, video.width, video.height) == (True, 1, 48, 64)
            names = ["person", "sky"]
            session = await client.create_session(video, task=["vis", "vss", "vps"], vocabulary=list(names))
            events = [event async for event in client.stream(session, until_closed=True)]
    (result,) = [event for event in events if isinstance(event, FrameResultEvent)]
    assert (result.frame_index, result.size) == (0, (64, 48))
    assert result.objects
    assert {one.label for one in result.objects} <= set(names)
    assert result.semantic is not None
    assert result.panoptic is not None
    assert all(segment.mask.size == (64, 48) for segment in result.semantic.segments_info)
