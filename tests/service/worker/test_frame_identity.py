"""A result's frame_index and pts are those of the picture that the network saw, for every kind of file."""

import asyncio
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import barcode
from tests.barcode_clips import MAKERS, Clip

from univs_service.media import MediaReader
from univs_service.messages import Video, VideoSource
from univs_service.settings import Settings
from univs_service.store import paths

KINDS = [
    "b-frames mp4",
    "b-frames ts",
    "hidden frames vp9",
    "variable rate mp4",
    "turned 90",
    "mirrored",
    "edit list, turned",
]


@pytest.fixture(params=KINDS)
def clip(request: pytest.FixtureRequest, tmp_path: Path) -> Clip:
    return MAKERS[request.param](tmp_path)


def look_into(path: Path, settings: Settings, frame_indices: tuple[int, ...]) -> tuple[Any, list[int]]:
    """What the gateway says of a file, and the numbers in the frames it shows."""

    async def look() -> tuple[Any, list[bytes]]:
        reader = MediaReader(settings)
        try:
            return await reader.probe(path), [await reader.frame(path, index) for index in frame_indices]
        finally:
            await reader.close()

    info, jpegs = asyncio.run(look())
    return info, [barcode.read(np.array(Image.open(BytesIO(jpeg)))) for jpeg in jpegs]


def create(bench: Any, clip: Clip, make_box: Callable[..., Any], **fields: Any) -> Any:
    file = paths.video_file(bench.settings.data_dir, "local", "v")
    file.parent.mkdir(parents=True)
    file.write_bytes(clip.path.read_bytes())
    video = Video(
        video_id="v", sha256="v", size_bytes=1, width=barcode.WIDTH, height=barcode.HEIGHT,
        num_frames=len(clip.numbers), frame_rate=None, duration_s=None, rotation=0, created_at=0.0,
    )  # fmt: skip
    return bench._create("a", [make_box(**fields)], VideoSource(video_id="v"), video, {})


def test_results_name_the_picture_that_was_seen(
    bench: Any, make_box: Any, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, int] = {}
    step = bench.engine.step

    def watch(segmenter: Any, frame: Any, *coming: Any) -> Any:
        seen[frame.index] = barcode.read(frame.image.permute(1, 2, 0).numpy())
        return step(segmenter, frame, *coming)

    monkeypatch.setattr(bench.engine, "step", watch)
    spec = create(bench, clip, make_box)
    bench.worker().run_to_end(spec)
    results = [event for event in bench.events(spec) if event["type"] == "frame.result"]
    assert [event["frame_index"] for event in results] == list(range(len(clip.numbers)))
    assert [seen[event["frame_index"]] for event in results] == list(clip.numbers)
    start = results[0]["pts"]
    for event, expected in zip(results, clip.times_s, strict=True):
        assert abs((event["pts"] - start) * Fraction(event["time_base"]) - expected) < Fraction(1, 500)


def test_the_page_shows_the_same_picture_under_the_same_number(bench: Any, clip: Clip) -> None:
    last = len(clip.numbers) - 1
    info, numbers = look_into(clip.path, bench.settings, (0, 5, last))
    assert info.num_frames == len(clip.numbers)
    assert (info.width, info.height) == (barcode.WIDTH, barcode.HEIGHT)
    assert numbers == [clip.numbers[0], clip.numbers[5], clip.numbers[last]]


@pytest.mark.parametrize("kind", ["variable rate mp4", "edit list, turned"])
def test_results_of_a_run_backward_name_the_picture_that_was_seen(
    bench: Any, make_box: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    clip = MAKERS[kind](tmp_path)
    seen: list[int] = []
    step = bench.engine.step

    def watch(segmenter: Any, frame: Any, *coming: Any) -> Any:
        seen.append(barcode.read(frame.image.permute(1, 2, 0).numpy()))
        return step(segmenter, frame, *coming)

    monkeypatch.setattr(bench.engine, "step", watch)
    spec = create(bench, clip, make_box, frame_index=17, direction="both")
    bench.worker(worker_lease_s=60.0).run_to_end(spec)
    results = [event for event in bench.events(spec) if event["type"] == "frame.result"]
    forward, backward = ([event for event in results if event["run_id"] == run_id] for run_id in (1, 2))
    assert [event["frame_index"] for event in backward] == list(range(16, -1, -1))
    assert seen[-18:] == list(reversed(clip.numbers[:18]))  # the prompted frame is seen, and answered forward
    for event in backward:
        assert (event["pts"], event["time_base"]) == tuple(
            forward[event["frame_index"]][key] for key in ("pts", "time_base")
        )
