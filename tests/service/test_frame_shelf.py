"""Frames are read in any order, exactly, and in their own order without starting a process for each."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from univs_service import frame_shelf, media_process
from univs_service.errors import NotAVideoError, UnknownFrameError
from univs_service.frame_shelf import FrameShelf
from univs_service.settings import Settings

NUM_FRAMES = 20


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """The children that are started, in order."""
    started: list[Process] = []
    start_child = media_process.start_child

    async def start(settings: Settings, cpu_s: float, *arguments: str) -> Process:
        started.append(await start_child(settings, cpu_s, *arguments))
        return started[-1]

    monkeypatch.setattr(frame_shelf, "start_child", start)
    return started


@pytest.fixture
async def shelf() -> AsyncIterator[FrameShelf]:
    shelf = FrameShelf(Settings(max_probes=2))
    yield shelf
    await shelf.close()


@pytest.fixture
def clip(make_clip: Callable[..., Path]) -> Path:
    return make_clip(num_frames=NUM_FRAMES)


def frame_index_of(jpeg: bytes) -> int:
    """Read the index back from the brightness that the clip's frames have."""
    return round((float(np.asarray(Image.open(BytesIO(jpeg))).mean()) - 20) / 10)


async def test_one_child_serves_a_viewer_who_plays_the_video(
    shelf: FrameShelf, clip: Path, children: list[Process]
) -> None:
    played = [frame_index_of(await shelf.read(clip, index)) for index in range(NUM_FRAMES)]
    assert played == list(range(NUM_FRAMES))
    assert len(children) == 1


async def test_requests_that_overtake_each_other_get_their_own_frames(
    shelf: FrameShelf, clip: Path, children: list[Process]
) -> None:
    asked = [7, 5, 6, 9, 8, 5]
    jpegs = await asyncio.gather(*(shelf.read(clip, index) for index in asked))
    assert [frame_index_of(jpeg) for jpeg in jpegs] == asked
    assert len(children) == 1


async def test_a_frame_beyond_the_end_is_unknown_and_the_others_stay(shelf: FrameShelf, clip: Path) -> None:
    with pytest.raises(UnknownFrameError, match=f"0 to {NUM_FRAMES - 1}, got {NUM_FRAMES + 9}"):
        await shelf.read(clip, NUM_FRAMES + 9)
    assert frame_index_of(await shelf.read(clip, NUM_FRAMES - 1)) == NUM_FRAMES - 1


async def test_a_file_that_is_no_video_gives_its_problem(shelf: FrameShelf, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no video")
    with pytest.raises(NotAVideoError):
        await shelf.read(text, 0)


async def test_no_more_children_stand_by_than_allowed(
    shelf: FrameShelf, make_clip: Callable[..., Path], children: list[Process]
) -> None:
    for suffix in (".mp4", ".mkv", ".avi"):
        await shelf.read(make_clip(suffix, num_frames=NUM_FRAMES), 0)
    await shelf.close()
    assert len(children) == 3
    assert all(child.returncode is not None for child in children)


async def test_closing_ends_every_child(shelf: FrameShelf, clip: Path, children: list[Process]) -> None:
    await shelf.read(clip, 0)
    await shelf.close()
    assert [child.returncode is not None for child in children] == [True]
