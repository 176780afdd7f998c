"""A real Valkey, a real gateway on a socket, and a small worker that publishes through the real store."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
import redis
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from univs_service.embedded import EmbeddedValkey
from univs_service.gateway.app import create_app
from univs_service.messages import ModelInfo, PromptKind, SessionStatus, Task, Weights, WorkerInfo
from univs_service.settings import Settings
from univs_service.store import paths
from univs_service.store.gateway_store import GatewayStore
from univs_service.store.records import Claim
from univs_service.store.worker_store import WorkerStore

WIDTH, HEIGHT, NUM_FRAMES = 64, 48, 12
MODEL = "tiny"


def write_clip(path: Path, *, num_frames: int = NUM_FRAMES, rotation: int = 0) -> Path:
    """Write a clip whose frames are plain and grow brighter by 10 each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        container.start_encoding()
        for index in range(num_frames):
            picture = np.full((HEIGHT, WIDTH, 3), 20 + 10 * index, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    def make(suffix: str = ".mp4", **options: Any) -> Path:
        return write_clip(tmp_path / f"clip{suffix}", **options)

    return make


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(valkey_server: EmbeddedValkey) -> EmbeddedValkey:
    """An empty server; a test that stops it starts it again."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return valkey_server


@pytest.fixture
def settings(valkey: EmbeddedValkey, tmp_path: Path) -> Settings:
    return Settings(
        redis_url=valkey.url, data_dir=tmp_path / "data", model=MODEL, worker_lease_s=0.2, min_free_disk_bytes=0
    )


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[GatewayStore]:
    store = GatewayStore(settings)
    yield store
    await store.close()


@pytest.fixture
def worker_store(settings: Settings) -> Iterator[WorkerStore]:
    store = WorkerStore(settings)
    yield store
    store.close()


# --- a worker without a model -------------------------------------------------------------------------------------


class SmallWorker:
    """Publish events of a session the way a worker does: a line in the spool file first, then the store."""

    def __init__(self, settings: Settings) -> None:
        self.weights = {MODEL: Weights(name=MODEL, sha256=None, is_trained=False, note="random")}
        self._data_dir = settings.data_dir
        self.store = WorkerStore(settings)
        self.seq = 0

    def beat(
        self, *, is_ready: bool = True, prompts: tuple[PromptKind, ...] = ("points", "box", "mask", "scribble")
    ) -> None:
        """Say that it is alive."""
        tasks: list[Task] = ["vis", "vss", "vps", "vos", "pvos"]
        models = [
            ModelInfo(
                name=MODEL, weights=self.weights[MODEL], prompts=list(prompts), tasks=tasks, no_text="not trained",
                vocabularies=["coco", "vipseg"],
            )
        ]  # fmt: skip
        self.store.beat(
            WorkerInfo(
                worker_id="small", is_ready=is_ready, reason="" if is_ready else "loading weights", models=models,
                num_sessions=0, max_sessions=4, device="cpu", started_at=0.0,
            )
        )  # fmt: skip

    def claim(self, worker_id: str = "small") -> Claim:
        """Take the oldest session."""
        claim = self.store.claim(worker_id, self.weights)
        assert claim is not None
        self.seq = claim.state.last_seq
        return claim

    def frame(self, claim: Claim, frame_index: int, text: str = "") -> bytes:
        """Publish the result of one frame."""
        event = self.event({"type": "frame.result", "run_id": 1, "frame_index": frame_index, "text": text})
        self.publish(claim, event, frame_index + 1)
        return event

    def event(self, fields: dict[str, Any]) -> bytes:
        """Make the next event."""
        self.seq += 1
        return json.dumps({"seq": self.seq, **fields}).encode()

    def publish(self, claim: Claim, event: bytes, next_frame: int) -> None:
        """Spool and publish one event."""
        self._spool(claim, event)
        self.store.publish(claim.lease, self.seq, [event], next_frame=next_frame, num_objects=1)

    def finish(self, claim: Claim) -> bytes:
        """Publish the last event and end the session."""
        event = self.event({"type": "session.closed", "reason": "end", "final_seq": self.seq + 1})
        self._spool(claim, event)
        self.store.finish(claim.lease, SessionStatus.DONE, self.seq, [event], next_frame=NUM_FRAMES, num_objects=1)
        return event

    def _spool(self, claim: Claim, event: bytes) -> None:
        path = paths.results_file(self._data_dir, claim.lease.session_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(event + b"\n")


@pytest.fixture
def make_worker(settings: Settings) -> Iterator[Callable[..., SmallWorker]]:
    made: list[SmallWorker] = []

    def make(**changes: Any) -> SmallWorker:
        made.append(SmallWorker(settings.model_copy(update=changes)))
        return made[-1]

    yield make
    for worker in made:
        worker.store.close()


@pytest.fixture
def worker(make_worker: Callable[..., SmallWorker]) -> SmallWorker:
    return make_worker()


# --- a gateway on a socket ----------------------------------------------------------------------------------------


@dataclass
class Service:
    """A running gateway, and a client of it."""

    settings: Settings
    http: httpx.AsyncClient
    url: str

    async def upload(self, path: Path) -> str:
        """Upload a video; give its id."""
        response = await self.http.post("/v1/videos", files={"video": path.read_bytes()})
        assert response.status_code in (200, 201), response.text
        return str(response.json()["video_id"])

    async def start(self, video_id: str, **fields: Any) -> str:
        """Start a session on a video, with one prompt unless others are given; give its id."""
        body = {"prompts": [{"object_id": 1, "box": [4, 4, 20, 20]}]} | fields
        return await self._start({"source": {"kind": "video", "video_id": video_id}, **body})

    async def start_push(self, **fields: Any) -> str:
        """Start a session for pushed frames; give its id."""
        return await self._start({"source": {"kind": "push", "width": WIDTH, "height": HEIGHT}} | fields)

    async def _start(self, body: dict[str, Any]) -> str:
        response = await self.http.post("/v1/sessions", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["session_id"])

    def connect(self, session_id: str, **options: Any) -> connect:
        """Open the websocket of a session; nothing is said yet."""
        url = f"ws{self.url.removeprefix('http')}/v1/sessions/{session_id}/stream"
        return connect(url, proxy=None, **{"subprotocols": ["univs.v1+json"]} | options)

    async def hello(self, socket: ClientConnection, **fields: Any) -> dict[str, Any]:
        """Say hello; give the answer."""
        await socket.send(json.dumps({"type": "hello", **fields}))
        answer: dict[str, Any] = json.loads(await socket.recv())
        return answer


@pytest.fixture
async def make_service() -> AsyncIterator[Callable[[Settings], Any]]:
    stops: list[Callable[[], Any]] = []

    async def make(settings: Settings) -> Service:
        listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            create_app(settings), ws="websockets-sansio", ws_max_size=settings.max_pushed_frame_bytes, log_config=None,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        http = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)

        async def stop() -> None:
            await http.aclose()
            server.should_exit = True
            await serving
            listening.close()

        stops.append(stop)
        return Service(settings, http, url)

    yield make
    for stop in stops:
        await stop()


@pytest.fixture
async def service(make_service: Callable[[Settings], Any], settings: Settings) -> Service:
    made: Service = await make_service(settings)
    return made
