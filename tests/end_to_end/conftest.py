"""The whole service as a user starts it: `univs serve` in a folder of its own, spoken to over its socket."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect

SIZE = (48, 64)  # height, width
READY_TIMEOUT_S = 120.0
EVENT_TIMEOUT_S = 60.0

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def pictures(num_frames: int) -> list[Picture]:
    """A bright square that moves to the right over a dark, noisy ground: uint8 [H, W, 3] each."""
    ground = np.random.default_rng(7).integers(0, 60, size=(*SIZE, 3), dtype=np.uint8)
    frames = []
    for index in range(num_frames):
        frame = ground.copy()
        left = 4 + index % 40
        frame[16:32, left : left + 16] = (220, 180, 40)
        frames.append(frame)
    return frames


def write_clip(path: Path, num_frames: int, codec: str = "ffv1", pixel_format: str = "bgr0") -> Path:
    """Write the pictures into a file; ffv1 loses nothing."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = SIZE
        stream.pix_fmt = pixel_format
        container.start_encoding()
        for picture in pictures(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def box(object_id: int = 1, frame_index: int = 0) -> dict[str, Any]:
    """A prompt on the square."""
    left = 4 + frame_index % 40
    return {
        "prompt_id": f"object {object_id} in frame {frame_index}",
        "object_id": object_id,
        "frame_index": frame_index,
        "box": [left, 16, left + 16, 32],
    }


@dataclass
class Service:
    """A running `univs serve`."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    log_path: Path
    url: str
    ready_text: str
    http: httpx.Client = field(repr=False)

    def start_session(self, clip: Path, prompts: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
        """Upload a clip with its prompts in one request."""
        form: dict[str, Any] = {
            "video": (clip.name, clip.read_bytes(), "video/x-matroska"),
            "prompts": (None, json.dumps(prompts)),
            "options": (None, json.dumps(options)),
        }
        answer = self.http.post("/v1/sessions", files=form)
        deadline = time.monotonic() + EVENT_TIMEOUT_S
        while answer.status_code == 503 and time.monotonic() < deadline:  # as its problem says: send it again
            assert answer.json()["retryable"]
            time.sleep(0.1)
            answer = self.http.post("/v1/sessions", files=form)
        assert answer.status_code == 201, answer.text
        session: dict[str, Any] = answer.json()
        return session

    @contextmanager
    def socket(self, session_id: str, last_seq: int = 0) -> Iterator[ClientConnection]:
        """Attach to a session; `ready` has been read."""
        address = f"ws{self.url.removeprefix('http')}/v1/sessions/{session_id}/stream"
        with connect(address, subprotocols=["univs.v1+json"], max_size=None, proxy=None) as socket:  # type: ignore[list-item]
            socket.send(json.dumps({"type": "hello", "last_seq": last_seq, "window": 1024}))
            assert json.loads(socket.recv(EVENT_TIMEOUT_S))["type"] == "ready"
            yield socket

    def events(self, session_id: str) -> list[dict[str, Any]]:
        """Follow a session on its socket to its last event."""
        with self.socket(session_id) as socket:
            return list(events_of(socket))

    def results(self, session_id: str) -> list[dict[str, Any]]:
        """Read what GET .../results gives."""
        answer = self.http.get(f"/v1/sessions/{session_id}/results")
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def wait_until_ended(self, session_id: str) -> dict[str, Any]:
        """Ask for the session's state until it has ended, without any socket."""
        deadline = time.monotonic() + EVENT_TIMEOUT_S
        while time.monotonic() < deadline:
            answer = self.http.get(f"/v1/sessions/{session_id}")
            session: dict[str, Any] = answer.json()
            if answer.status_code == 200 and session["status"] in {"done", "failed", "closed"}:
                return session
            time.sleep(0.05)
        pytest.fail(f"session {session_id} did not end; {self.last_log_lines()}")

    def child_id(self, name: str) -> int:
        """Process id of the gateway, worker or valkey-server."""
        for pid, command in children(self.process.pid):
            if name in command:
                return pid
        pytest.fail(f"no {name} among the children; {self.last_log_lines()}")

    def last_log_lines(self) -> str:
        """What the service wrote last."""
        return "\n".join(self.log_path.read_text().splitlines()[-40:])


def events_of(socket: ClientConnection) -> Iterator[dict[str, Any]]:
    """Give events up to and including the last."""
    while True:
        event: dict[str, Any] = json.loads(socket.recv(EVENT_TIMEOUT_S))
        yield event
        if event["type"] == "session.closed":
            return


def children(parent: int) -> list[tuple[int, str]]:
    """Give id and command line of each child process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append((int(entry.name), command))
    return found


@contextmanager
def serve(data_dir: Path, *, model: str = "tiny", **settings: str) -> Iterator[Service]:
    """Start `univs serve` with weights by name or path, and wait until it says where it is."""
    data_dir.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
        "UNIVS_SHORT_SIDE_PX": "64",
        "UNIVS_WORKER_METRICS_PORT": "0",
        "UNIVS_WORKER_LEASE_S": "1",
        "UNIVS_SESSION_TTL_S": "30",
        **{f"UNIVS_{name.upper()}": value for name, value in settings.items()},
    }
    log_path = data_dir / "serve.log"
    command = [
        *(sys.executable, "-m", "univs_service.cli.main", "serve"),
        *("--port", "0", "--data-dir", str(data_dir), "--model", model, "--threads", "1"),
    ]
    with (
        log_path.open("a") as log,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        try:
            text = _read_ready_text(process, log_path)
            url = re.findall(r"http://\S+", text)[0]
            with httpx.Client(base_url=url, timeout=60.0, trust_env=False) as http:
                yield Service(process, data_dir, log_path, url, text, http)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def _read_ready_text(process: subprocess.Popen[bytes], log_path: Path) -> str:
    assert process.stdout is not None
    text = b""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while b"Ctrl-C" not in text:
        is_readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(process.stdout.fileno(), 65536) if is_readable else b""
        if not chunk:
            pytest.fail(f"the service did not become ready:\n{log_path.read_text()[-4000:]}")
        text += chunk
    return text.decode()


@pytest.fixture(scope="module")
def running_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serve(tmp_path_factory.mktemp("service"), max_upload_bytes="2000000") as service:
        yield service


@pytest.fixture
def start_service() -> Callable[..., Any]:
    return serve


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    def make(num_frames: int, name: str = "clip.mkv", **options: str) -> Path:
        return write_clip(tmp_path / name, num_frames, **options)

    return make


@pytest.fixture
def make_box() -> Callable[..., dict[str, Any]]:
    return box


@pytest.fixture
def make_pictures() -> Callable[[int], list[Picture]]:
    return pictures


@pytest.fixture
def read_events() -> Callable[[ClientConnection], Iterator[dict[str, Any]]]:
    return events_of


@pytest.fixture
def list_children() -> Callable[[int], list[tuple[int, str]]]:
    return children
