import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from univs_service.client import AsyncUniVSClient, ConnectionLostError, ProblemError, box
from univs_service.messages import Problem, Video

PROBLEM = Problem(
    type="about:blank",
    title="Busy",
    status=503,
    detail="expected a free slot, got none; try later",
    code="no_capacity",
    retryable=True,
)
VIDEO = Video(
    video_id="v1",
    sha256="00",
    size_bytes=5,
    width=4,
    height=4,
    num_frames=1,
    frame_rate="25",
    duration_s=0.04,
    rotation=0,
    created_at=0.0,
)


class Scripted(httpx.AsyncBaseTransport):
    """Answers one request after the other as told, and keeps what came."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(await request.aread())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def problem() -> httpx.Response:
    return httpx.Response(503, content=PROBLEM.model_dump_json())


async def test_upload_sends_the_whole_file_and_tells_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(range(256)) * 1000)
    transport = Scripted(httpx.Response(201, content=VIDEO.model_dump_json()))
    told: list[tuple[int, int]] = []

    async with AsyncUniVSClient(transport=transport) as client:
        video = await client.upload(path, lambda sent, total: told.append((sent, total)))

    assert video == VIDEO
    assert path.read_bytes() in transport.bodies[0]
    assert told[-1] == (256_000, 256_000)
    assert len(told) > 2


async def test_refusal_carries_the_fields_of_its_problem() -> None:
    async with AsyncUniVSClient(transport=Scripted(problem())) as client:
        with pytest.raises(ProblemError, match="expected a free slot") as caught:
            await client.create_session("v1")

    assert (caught.value.code, caught.value.status, caught.value.is_retryable) == ("no_capacity", 503, True)


async def test_answer_of_something_else_is_named_as_such() -> None:
    proxy = httpx.Response(404, content=b"<html>nothing here</html>")
    async with AsyncUniVSClient(transport=Scripted(proxy)) as client:
        with pytest.raises(ProblemError, match=r"expected problem details of a UniVS service.*nothing here"):
            await client.session("s1")


async def test_what_counts_once_is_tried_again() -> None:
    transport = Scripted(httpx.ConnectError("refused"), problem(), httpx.Response(202))
    async with AsyncUniVSClient(transport=transport, retry_for_s=30) as client:
        await client.add_prompt("s1", box(1, 0, 0, 2, 2))

    assert transport.answers == []
    assert len(set(transport.bodies)) == 1


async def test_what_would_count_twice_is_sent_once() -> None:
    transport = Scripted(httpx.ReadError("cut"), httpx.Response(201))
    async with AsyncUniVSClient(transport=transport, retry_for_s=30) as client:
        with pytest.raises(ConnectionLostError, match="univs serve"):
            await client.create_session("v1")

    assert len(transport.answers) == 1


def test_client_needs_neither_torch_nor_univs() -> None:
    code = (
        "import sys, univs_service.client, univs_service.exports; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'univs', 'fastapi', 'redis')))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
