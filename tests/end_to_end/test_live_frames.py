"""Frames pushed over a real socket get the masks of the same frames in a file, and each of them one event."""

import json
import struct
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from univs_service.client import AsyncUniVSClient, box
from univs_service.messages import (
    FrameDropped,
    FrameError,
    FrameResultEvent,
    PushSource,
    SessionClosed,
    StreamEvent,
)

NUM_FRAMES = 9


def write(picture: Any, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def write_jpegs(path: Path, jpegs: list[bytes], size: tuple[int, int]) -> Path:
    """Put JPEG files into a Motion JPEG video as they are."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = size
        stream.pix_fmt = "yuvj420p"
        for index, jpeg in enumerate(jpegs):
            packet = av.Packet(jpeg)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 10)
            packet.is_keyframe = True
            container.mux(packet)
    return path


def answers(events: list[StreamEvent]) -> dict[int, list[tuple[Any, ...]]]:
    """What was said of each object, by frame; a frame may come only once."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    for event in events:
        if isinstance(event, FrameResultEvent):
            assert event.frame_index not in found
            found[event.frame_index] = [(each.object_id, each.score, each.mask.counts) for each in event.objects]
    return found


async def run_file(url: str, path: Path) -> list[StreamEvent]:
    async with AsyncUniVSClient(url) as client:
        session = await client.create_session(path, [box(1, 4, 16, 20, 32)])
        return [event async for event in client.stream(session, until_closed=True)]


async def run_pushed(url: str, frames: list[Any], size: tuple[int, int]) -> list[StreamEvent]:
    source = PushSource(kind="push", width=size[1], height=size[0], fps=10)  # as in the file
    async with AsyncUniVSClient(url) as client:
        session = await client.create_session(source, [box(1, 4, 16, 20, 32)])
        async with client.stream(session, until_closed=True) as stream:
            for index, frame in enumerate(frames):
                await stream.push_frame(index, frame)
            await stream.end_input()
            return [event async for event in stream]


@pytest.mark.parametrize("kind", ["raw", "png", "webp"])
async def test_lossless_frames_get_the_masks_of_a_lossless_file(
    running_service: Any, make_clip: Any, make_pictures: Any, kind: str
) -> None:
    pictures = make_pictures(NUM_FRAMES)
    frames = pictures if kind == "raw" else [write(picture, kind.upper(), lossless=True) for picture in pictures]
    size = pictures[0].shape[:2]
    pushed = answers(await run_pushed(running_service.url, frames, size))
    stored = answers(await run_file(running_service.url, make_clip(NUM_FRAMES)))
    assert list(pushed) == list(range(NUM_FRAMES))
    assert pushed == stored


async def test_jpeg_frames_get_the_masks_of_the_same_jpegs_in_a_file(
    running_service: Any, make_pictures: Any, tmp_path: Path
) -> None:
    pictures = make_pictures(NUM_FRAMES)
    size = pictures[0].shape[:2]
    jpegs = [write(picture, "JPEG", quality=60) for picture in pictures]
    pushed = answers(await run_pushed(running_service.url, jpegs, size))
    stored = answers(await run_file(running_service.url, write_jpegs(tmp_path / "clip.avi", jpegs, size)))
    assert list(pushed) == list(range(NUM_FRAMES))
    assert pushed == stored
    assert pushed != answers(await run_pushed(running_service.url, pictures, size)), "the loss would show"


async def test_every_frame_has_one_event_whatever_was_sent(running_service: Any, make_pictures: Any) -> None:
    pictures = make_pictures(8)
    height, width = pictures[0].shape[:2]
    png = write(pictures[0], "PNG")
    smaller = write(pictures[0][:-1], "PNG")
    rgba = np.dstack([pictures[0], np.zeros((height, width), dtype=np.uint8)])
    frames = [
        ("raw", pictures[0].tobytes()),
        ("raw", pictures[1].tobytes()[:-1]),
        ("png", png[: len(png) // 2]),
        ("png", smaller),
        ("png", write(rgba, "PNG")),
        ("jpeg", png),
        ("png", b"0" * 200_000),
        ("raw", pictures[7].tobytes()),
    ]
    source = PushSource(kind="push", width=width, height=height)
    async with AsyncUniVSClient(running_service.url) as client:
        session = await client.create_session(source, [box(1, 4, 16, 20, 32)])
        with running_service.socket(session.session_id) as socket:
            for index, (encoding, payload) in enumerate(frames):
                header = json.dumps({"encoding": encoding}).encode()
                socket.send(struct.pack("<BBHIQ", 1, 1, 0, len(header), index) + header + payload)
            socket.send('{"type": "input.end"}')
        events = [event async for event in client.stream(session, until_closed=True)]
    terminal = [event for event in events if isinstance(event, FrameResultEvent | FrameError | FrameDropped)]
    assert [event.frame_index for event in terminal] == list(range(8))
    problems = {event.frame_index: event.problem for event in terminal if isinstance(event, FrameError)}
    assert list(problems) == [1, 2, 3, 4, 5, 6]
    assert problems[6].code == "frame_too_large"
    assert {problems[index].code for index in range(1, 6)} == {"bad_frame"}
    assert all(problem.detail.startswith("expected") for problem in problems.values())
    last = events[-1]
    assert isinstance(last, SessionClosed)
    assert last.final_seq == len(events)
