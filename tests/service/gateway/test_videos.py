"""Videos: stored once, looked into with care, given back frame by frame."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from PIL import Image

from univs_service.embedded import EmbeddedValkey
from univs_service.settings import Settings
from univs_service.store import paths


def stored_files(settings: Settings) -> list[Path]:
    return [path for path in settings.data_dir.rglob("*") if path.is_file()]


def memory_bytes(process_id: int, field: str) -> int:
    """Resident memory of a process, now (VmRSS) or at its highest (VmHWM)."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(field)


async def test_an_upload_is_described_and_kept_under_its_hash(service: Any, clip: Path) -> None:
    response = await service.http.post("/v1/videos", files={"video": clip.read_bytes()})
    assert response.status_code == 201
    video = response.json()
    assert video["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert (video["width"], video["height"], video["num_frames"], video["rotation"]) == (64, 48, 12, 0)
    assert video["frame_rate"] == "10/1"
    assert response.headers["location"] == f"/v1/videos/{video['video_id']}"
    assert (await service.http.get(response.headers["location"])).json() == video
    assert stored_files(service.settings) == [paths.video_file(service.settings.data_dir, "local", video["video_id"])]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_is_a_video_of_one_frame(service: Any, kind: str) -> None:
    file = BytesIO()
    Image.new("RGB", (61, 45), (200, 30, 60)).save(file, format=kind, quality=95)
    response = await service.http.post("/v1/videos", files={"video": file.getvalue()})
    assert response.status_code == 201, response.text
    video = response.json()
    assert (video["width"], video["height"], video["num_frames"], video["is_still"]) == (61, 45, 1, True)
    assert video["frame_rate"] is None
    frame = await service.http.get(f"/v1/videos/{video['video_id']}/frames/0")
    shown = np.asarray(Image.open(BytesIO(frame.content))).astype(int)
    assert np.abs(shown - (200, 30, 60)).max() < 12


async def test_the_same_bytes_again_are_free(service: Any, clip: Path) -> None:
    first = await service.http.post("/v1/videos", files={"video": clip.read_bytes()})
    again = await service.http.post("/v1/videos", files={"video": clip.read_bytes()})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert len(stored_files(service.settings)) == 1


async def test_frames_are_jpeg_files_that_may_be_cached_for_ever(service: Any, clip: Path) -> None:
    video_id = await service.upload(clip)
    for frame_index in (0, 7, 11):
        response = await service.http.get(f"/v1/videos/{video_id}/frames/{frame_index}")
        picture = np.asarray(Image.open(BytesIO(response.content)))
        assert picture.shape == (48, 64, 3)
        assert abs(picture.mean() - (20 + 10 * frame_index)) < 4
    assert "immutable" in response.headers["cache-control"]
    known = await service.http.get(
        f"/v1/videos/{video_id}/frames/11", headers={"if-none-match": response.headers["etag"]}
    )
    assert known.status_code == 304 and not known.content
    beyond = await service.http.get(f"/v1/videos/{video_id}/frames/12")
    assert beyond.status_code == 404 and beyond.json()["code"] == "unknown_frame"


async def test_a_video_whose_record_was_lost_is_looked_into_again(
    service: Any, clip: Path, valkey: EmbeddedValkey
) -> None:
    video_id = await service.upload(clip)
    before = (await service.http.get(f"/v1/videos/{video_id}")).json()
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    after = (await service.http.get(f"/v1/videos/{video_id}")).json()
    assert after | {"created_at": 0} == before | {"created_at": 0}
    await service.start(video_id)


async def test_a_rotated_video_has_the_size_that_is_shown(service: Any, make_clip: Callable[..., Path]) -> None:
    video_id = await service.upload(make_clip(rotation=90))
    video = (await service.http.get(f"/v1/videos/{video_id}")).json()
    assert (video["width"], video["height"]) == (48, 64)
    frame = await service.http.get(f"/v1/videos/{video_id}/frames/0")
    assert Image.open(BytesIO(frame.content)).size == (48, 64)


async def test_a_deleted_video_is_gone_and_may_be_deleted_again(service: Any, clip: Path) -> None:
    video_id = await service.upload(clip)
    for _ in range(2):
        assert (await service.http.delete(f"/v1/videos/{video_id}")).status_code == 204
    assert (await service.http.get(f"/v1/videos/{video_id}")).status_code == 404
    assert stored_files(service.settings) == []


async def test_a_video_in_use_is_not_deleted(service: Any, clip: Path) -> None:
    video_id = await service.upload(clip)
    session_id = await service.start(video_id)
    refused = await service.http.delete(f"/v1/videos/{video_id}")
    assert refused.status_code == 409 and refused.json()["code"] == "video_in_use"
    await service.http.delete(f"/v1/sessions/{session_id}")
    assert (await service.http.delete(f"/v1/videos/{video_id}")).status_code == 204


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda _: b"", 415, "not_a_video"),
        (lambda _: b"hello " * 1000, 415, "not_a_video"),
        (lambda _: os.urandom(50_000), 415, "not_a_video"),
        (lambda _: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 415, "not_a_video"),
        (lambda _: b"ffconcat version 1.0\nfile /etc/passwd\n", 415, "not_a_video"),
        (lambda clip: clip[: len(clip) // 4], 422, "damaged_video"),  # the index of an mp4 is at its end
        (lambda clip: clip[: len(clip) // 2], 422, "no_frames"),  # cut off inside the index
    ],
    ids=["empty", "text", "noise", "playlist", "concat", "cut off early", "cut off late"],
)
async def test_what_is_no_video_is_refused_and_leaves_nothing(
    service: Any, clip: Path, make: Callable[[bytes], bytes], status: int, code: str
) -> None:
    response = await service.http.post("/v1/videos", files={"video": make(clip.read_bytes())})
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert stored_files(service.settings) == []


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
async def test_a_video_without_frames_is_refused(service: Any, make_clip: Callable[..., Path], suffix: str) -> None:
    data = make_clip(suffix, num_frames=0).read_bytes()
    response = await service.http.post("/v1/videos", files={"video": data})
    assert (response.status_code, response.json()["code"]) == (422, "no_frames"), response.text


async def test_a_damaged_stream_is_refused(service: Any, make_clip: Callable[..., Path]) -> None:
    data = bytearray(make_clip(suffix=".avi").read_bytes())
    begin, end = data.index(b"movi") + 4, data.rindex(b"idx1")
    for position in range(begin, end):  # keep the chunks' headers, spoil what is in them
        if data[position : position + 4] == b"00dc":
            size = int.from_bytes(data[position + 4 : position + 8], "little")
            data[position + 8 : position + 8 + size] = b"\0" * size
    response = await service.http.post("/v1/videos", files={"video": bytes(data)})
    assert (response.status_code, response.json()["code"]) == (422, "damaged_video"), response.text


async def test_too_many_pixels_are_refused(make_service: Any, settings: Settings, clip: Path) -> None:
    service = await make_service(settings.model_copy(update={"max_frame_pixels": 1000}))
    response = await service.http.post("/v1/videos", files={"video": clip.read_bytes()})
    assert (response.status_code, response.json()["code"]) == (422, "frame_size")


async def test_too_large_an_upload_is_refused_as_soon_as_it_is(make_service: Any, settings: Settings) -> None:
    service = await make_service(settings.model_copy(update={"max_upload_bytes": 100_000}))

    async def body() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\n'
        for _ in range(20):
            yield b"0" * 10_000
        yield b"\r\n--x--\r\n"

    response = await service.http.post(
        "/v1/videos", content=body(), headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert (response.status_code, response.json()["code"]) == (413, "upload_too_large")
    assert stored_files(service.settings) == []


async def test_an_upload_that_declares_too_much_is_refused_before_it_is_read(service: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(service.url).port)
    writer.write(
        b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        b"Content-Length: 1000000000000\r\n\r\n"
    )
    answer = await reader.readuntil(b"\r\n")
    writer.close()
    assert answer == b"HTTP/1.1 413 Request Entity Too Large\r\n"


async def test_a_full_disk_is_said_and_leaves_nothing(make_service: Any, settings: Settings, clip: Path) -> None:
    service = await make_service(settings.model_copy(update={"min_free_disk_bytes": 2**62}))
    response = await service.http.post("/v1/videos", files={"video": clip.read_bytes()})
    assert (response.status_code, response.json()["code"]) == (507, "storage_full")
    assert stored_files(service.settings) == []


@pytest.mark.parametrize(
    "body",
    [
        b'--x\r\nContent-Disposition: form-data; name="video"\r\n\r\nhalf a body',
        b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nv\r\n--x--\r\n',
        b"--x\r\nContent-Type: text/plain\r\n\r\nv\r\n--x--\r\n",
        b"--x--\r\n",
        b"no form at all",
    ],
    ids=["broken off", "other name", "no name", "no part", "no form"],
)
async def test_a_broken_form_is_refused(service: Any, body: bytes) -> None:
    response = await service.http.post(
        "/v1/videos", content=body, headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert (response.status_code, response.json()["code"]) == (400, "bad_request"), response.text
    assert stored_files(service.settings) == []


async def test_an_upload_of_50_mb_takes_no_more_memory_than_a_small_one(
    service: Any, settings: Settings, clip: Path, tmp_path: Path
) -> None:
    code = """
import sys, asyncio, socket, uvicorn
from univs_service.gateway.app import create_app
from univs_service.settings import Settings
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
server = uvicorn.Server(uvicorn.Config(create_app(Settings()), ws="websockets-sansio", log_config=None))
asyncio.run(server.serve(sockets=[listening]))
"""
    environment = os.environ | {
        "UNIVS_REDIS_URL": settings.redis_url, "UNIVS_DATA_DIR": str(settings.data_dir),
        "UNIVS_MIN_FREE_DISK_BYTES": "0",
    }  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as gateway:
        assert gateway.stdout is not None
        url = f"http://127.0.0.1:{int(gateway.stdout.readline())}/v1/videos"
        try:
            assert (await service.http.post(url, files={"video": clip.read_bytes()})).status_code == 201
            before = memory_bytes(gateway.pid, "VmRSS")
            large = tmp_path / "large"
            large.write_bytes(clip.read_bytes() + b"\0" * 50_000_000)

            async def body() -> AsyncIterator[bytes]:
                yield b'--x\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\n'
                with large.open("rb") as file:
                    while piece := file.read(256 * 1024):
                        yield piece
                yield b"\r\n--x--\r\n"

            response = await service.http.post(
                url, content=body(), headers={"content-type": "multipart/form-data; boundary=x"}
            )
            assert response.status_code == 201, response.text
            assert response.json()["size_bytes"] > 50_000_000
            assert memory_bytes(gateway.pid, "VmHWM") - before < 12 * 2**20
        finally:
            gateway.terminate()
