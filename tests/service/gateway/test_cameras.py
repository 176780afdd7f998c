"""A session on a camera is made once the camera has shown a frame; its password is shown to nobody."""

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import av
import pytest
from tests import barcode, rtsp_server

from univs_service.settings import Settings

ACCOUNT = ("viewer", "secret")


@pytest.fixture(scope="module")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("camera") / "camera.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "10", "bf": "0", "preset": "ultrafast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(20):
            picture = barcode.draw(number, 96, 64)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def allowed(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "input_schemes": ("rtsp",),
            "input_hosts": ("127.0.0.1",),
            "input_networks": (ip_network("127.0.0.0/8"),),
            "probe_timeout_s": 60.0,
        }
    )


async def ask(service: Any, url: str) -> Any:
    body = {"source": {"kind": "rtsp", "url": url}, "prompts": [{"object_id": 1, "box": [70, 4, 95, 60]}]}
    return await service.http.post("/v1/sessions", json=body, timeout=120)


async def test_a_camera_says_how_large_its_frames_are(
    make_service: Callable[[Settings], Any], allowed: Settings, camera_clip: Path, worker: Any
) -> None:
    service = await make_service(allowed)
    with rtsp_server.serve(camera_clip, *ACCOUNT) as port:
        response = await ask(service, f"rtsp://viewer:secret@127.0.0.1:{port}/camera?token=abc")
        wrong = await ask(service, f"rtsp://viewer:wrong@127.0.0.1:{port}/camera")
    assert response.status_code == 201, response.text
    assert response.json()["source"]["url"] == f"rtsp://127.0.0.1:{port}/camera"
    assert "secret" not in response.text
    assert "secret" not in (await service.http.get(response.headers["location"])).text
    spec = worker.claim().spec
    assert (spec.frame_width, spec.frame_height, spec.video) == (96, 64, None)
    assert spec.source.url == f"rtsp://viewer:secret@127.0.0.1:{port}/camera?token=abc"
    assert (wrong.status_code, wrong.json()["code"]) == (502, "input_unavailable")


@pytest.mark.parametrize(
    ("changes", "url", "status", "code"),
    [
        ({"input_schemes": ()}, "rtsp://127.0.0.1:9/camera", 403, "forbidden_input"),
        ({"input_hosts": ()}, "rtsp://127.0.0.1:9/camera", 403, "forbidden_input"),
        ({"input_networks": ()}, "rtsp://127.0.0.1:9/camera", 403, "forbidden_input"),
        ({}, "http://127.0.0.1:9/camera", 403, "forbidden_input"),
        ({}, "rtsp://", 422, "invalid_input"),
        ({}, "rtsp://127.0.0.1:9/camera", 502, "input_unavailable"),
    ],
    ids=["scheme", "host", "network", "no camera", "no host", "nobody there"],
)
async def test_what_may_not_or_cannot_be_watched_is_refused(
    make_service: Callable[[Settings], Any],
    allowed: Settings,
    changes: dict[str, Any],
    url: str,
    status: int,
    code: str,
) -> None:
    service = await make_service(allowed.model_copy(update=changes))
    response = await ask(service, url)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.json()["detail"].startswith("expected")
