"""A worker in this process on a real Valkey: sessions are made as the gateway makes them, turns taken one by one."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from univs_service.embedded import EmbeddedValkey
from univs_service.messages import Command, PromptIn, PushSource, Video, VideoSource, WorkerInfo
from univs_service.metrics import WorkerMetrics
from univs_service.settings import Settings
from univs_service.store import paths
from univs_service.store.gateway_store import GatewayStore
from univs_service.store.records import SessionSpec, SessionState
from univs_service.store.worker_store import WorkerStore
from univs_service.worker.engine import Engine
from univs_service.worker.engines import Engines
from univs_service.worker.lease import LeaseKeeper, Watchdog
from univs_service.worker.live_sessions import LiveSessions
from univs_service.worker.loop import WorkerLoop
from univs_service.worker.scheduler import Scheduler

SIZE = (48, 64)  # height, width
PRINCIPAL = "local"


def pictures(num_frames: int) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """A bright square that moves over a dark, noisy ground: uint8 [H, W, 3] each."""
    random = np.random.default_rng(0)
    ground = random.integers(0, 60, size=(*SIZE, 3), dtype=np.uint8)
    frames = []
    for index in range(num_frames):
        frame = ground.copy()
        frame[16:32, 8 + index : 24 + index] = (220, 180, 40)
        frames.append(frame)
    return frames


def write_clip(path: Path, num_frames: int) -> None:
    """Write the pictures into a lossless file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "bgr0"
        for picture in pictures(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def box(object_id: int = 1, frame_index: int = 0, **fields: Any) -> PromptIn:
    """A prompt on the square."""
    left = 8.0 + frame_index
    return PromptIn(object_id=object_id, frame_index=frame_index, box=(left, 16.0, left + 16.0, 32.0), **fields)


@dataclass
class Bench:
    """What a test needs to play client, gateway and several workers."""

    settings: Settings
    engine: Engine
    workers: "list[Worker]" = field(default_factory=list)

    def create(
        self, session_id: str, prompts: Sequence[PromptIn] = (), *, num_frames: int = 12, **fields: Any
    ) -> SessionSpec:
        """Make a session on the clip."""
        write_clip(paths.video_file(self.settings.data_dir, PRINCIPAL, session_id), num_frames)
        video = Video(
            video_id=session_id, sha256=session_id, size_bytes=1, width=SIZE[1], height=SIZE[0],
            num_frames=num_frames, frame_rate="10", duration_s=num_frames / 10, rotation=0, created_at=0.0,
        )  # fmt: skip
        return self._create(session_id, prompts, VideoSource(video_id=session_id), video, fields)

    def create_push(self, session_id: str, prompts: Sequence[PromptIn] = (), **fields: Any) -> SessionSpec:
        """Make a session for pushed frames."""
        return self._create(session_id, prompts, PushSource(kind="push", width=SIZE[1], height=SIZE[0]), None, fields)

    def _create(
        self,
        session_id: str,
        prompts: Sequence[PromptIn],
        source: VideoSource | PushSource,
        video: Video | None,
        fields: dict[str, Any],
    ) -> SessionSpec:
        given: dict[str, Any] = {"model": "tiny", "from_frame": 0, "to_frame": None, "auto_start": True} | fields
        configure = fields.pop("configure", None)
        spec = SessionSpec(
            session_id=session_id, principal=PRINCIPAL, source=source, video=video,
            frame_width=SIZE[1], frame_height=SIZE[0], created_at=0.0,
            **given,
        )  # fmt: skip
        self.gateway(lambda store: store.create_session(spec, prompts, configure))
        return spec

    def send(self, spec: SessionSpec, *commands: Command) -> None:
        """Append commands to a session's log."""

        async def append(store: GatewayStore) -> None:
            for command in commands:
                await store.append(spec, command)

        self.gateway(append)

    def gateway(self, act: Callable[[GatewayStore], Any]) -> Any:
        """Do something as the gateway."""

        async def run() -> Any:
            store = GatewayStore(self.settings)
            try:
                return await act(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def state(self, spec: SessionSpec) -> SessionState:
        """Where a session stands."""
        state: SessionState = self.gateway(lambda store: store.find_state(spec.session_id))
        return state

    def events(self, spec: SessionSpec) -> list[dict[str, Any]]:
        """The spooled events of a session."""
        path = paths.results_file(self.settings.data_dir, spec.session_id)
        return [json.loads(line) for line in path.read_bytes().splitlines()]

    def worker(self, **settings: Any) -> "Worker":
        """A worker of its own; it dies when it is no longer used."""
        worker = Worker(self.settings.model_copy(update=settings), self.engine)
        self.workers.append(worker)
        return worker


class Worker:
    """A worker without its threads and signals."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.store = WorkerStore(settings)
        watchdog = Watchdog(60.0)
        self.keeper = LeaseKeeper(
            self.store,
            self.describe,
            watchdog,
            worker_id=f"worker-{id(self)}",
            interval_s=1.0,
            on_hang=lambda: None,
        )
        scheduler = Scheduler()
        self.engines = Engines(engine, settings)
        self.sessions = LiveSessions(
            self.engines, self.store, self.keeper, settings, WorkerMetrics(), on_leave=scheduler.forget
        )
        self.loop = WorkerLoop(self.store, self.sessions, scheduler, watchdog, settings)

    def close(self) -> None:
        """Close files and connections, as the end of a process does; the sessions stay as they are."""
        for session in self.sessions._sessions.values():
            session.close()
        self.store.close()

    def describe(self, num_sessions: int) -> WorkerInfo:
        """The heartbeat."""
        return WorkerInfo(
            worker_id=f"worker-{id(self)}", is_ready=True, models=[], num_sessions=num_sessions, max_sessions=8,
            device="cpu", started_at=0.0,
        )  # fmt: skip

    def turn(self, count: int = 1) -> None:
        """Take turns."""
        for _ in range(count):
            self.keeper.beat()
            self.loop.turn()

    def run_until(self, is_done: Callable[[], bool], limit: int = 400) -> None:
        """Take turns until something is so."""
        for _ in range(limit):
            if is_done():
                return
            self.turn()
        pytest.fail(f"not so after {limit} turns")

    def run_to_end(self, *specs: SessionSpec) -> None:
        """Take turns until sessions have ended."""
        for spec in specs:
            self.run_until(partial(self.has_ended, spec))

    def has_ended(self, spec: SessionSpec) -> bool:
        """Whether a session is over."""
        state = self.store.read_state(spec.session_id)
        return state is not None and state.is_ended


@pytest.fixture(scope="session")
def engine() -> Engine:
    torch.set_num_threads(1)
    return Engine.load(Settings(model="tiny", short_side_px=64))


@pytest.fixture
def bench(tmp_path: Path, engine: Engine) -> Iterator[Bench]:
    with EmbeddedValkey(tmp_path / "valkey") as valkey:
        settings = Settings(redis_url=valkey.url, data_dir=tmp_path, model="tiny", snapshot_every=4, worker_lease_s=0.2)
        made = Bench(settings, engine)
        yield made
        for worker in made.workers:
            worker.close()


@pytest.fixture
def make_box() -> Callable[..., PromptIn]:
    return box


@pytest.fixture
def make_pictures() -> Callable[[int], list[np.ndarray[Any, np.dtype[np.uint8]]]]:
    return pictures
