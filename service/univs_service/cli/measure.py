"""What `univs bench` measures: seconds per stage of a step, the machine's matmul peak, memory over a long session."""

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from univs.inference.segmenter import VideoSegmenter
from univs.types import BoxPrompt
from univs.video import open_video
from univs_service.cli.demo_clip import compose
from univs_service.cli.machine import resident_bytes
from univs_service.worker.convert import result_to_event, weights_label
from univs_service.worker.engine import Engine

_FRAME_RATE = Fraction(25)
_PARTS = ("backbone", "pixel_decoder", "readout", "mask_decoder", "presence")
_PROJECTIONS = (
    r"mask_decoder\.layers\.\d+\.image_attention\.(key|value)"  # of the picture, before the decoder's own call
)
# What a step is split into; other stages are its rest.
_SPLIT = {
    "backbone": ("backbone",),
    "pixel decoder": ("pixel decoder",),
    "mask decoder with readout": ("readout", "mask decoder", "presence"),
}
_GRID = 8  # objects of a benchmark lie on a grid of so many columns


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one network runs one video."""

    model: str
    weights: str
    num_parameters: int
    size: tuple[int, int]  # of the video: height, width
    padded_size: tuple[int, int]  # that the network sees
    num_objects: int
    num_frames: int  # that count
    num_warmups: int  # before them, left out
    threads: int
    device: str
    elapsed_s: float  # of the frames that count
    frames_per_s: float  # as a worker runs a stored video: the next frame is looked at early where cores allow
    p50_s: float  # of one frame, all stages
    p95_s: float
    looks_ahead: bool
    alone_s: float  # mean seconds of one frame when none is looked at early, as with frames that come one by one
    stages_s: dict[str, float]  # of the same; they add up to alone_s
    split_s: dict[str, float]  # the same in four: backbone, pixel decoder, mask decoder with readout, rest
    resident_bytes: int  # of the process after the last frame
    session_bytes: int  # that the session keeps between frames


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Memory at one moment of a long session."""

    num_frames: int
    resident_bytes: int
    session_bytes: int
    elapsed_s: float


def write_video(path: Path, size: tuple[int, int], num_frames: int) -> None:
    """Write a video of the demo's scenes, back and forth, at a size (height, width) and length of choice."""
    scenes = [np.asarray(Image.fromarray(scene.image).resize((size[1], size[0]))) for scene in compose()]
    there_and_back = scenes + scenes[-2:0:-1]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_FRAME_RATE)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        for index in range(num_frames):
            picture = av.VideoFrame.from_ndarray(there_and_back[index % len(there_and_back)], format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def measure_speed(engine: Engine, path: Path, *, num_objects: int, num_warmups: int) -> Speed:
    """Run a video twice: as a worker runs it, and frame by frame for the time of each stage.

    Stages: `decode` (file to RGB), the parts of the network, `message` (masks to the event's text), and `rest of
    step`: resizing, sampling tokens, memory, run-length encoding.
    """
    segmenter, totals = _run_as_served(engine, path, num_objects)
    counted = sorted(totals[num_warmups:])
    assert counted, "the video is longer than the warm-up"
    stages = _time_stages(engine, path, num_objects)
    stages_s = {name: sum(seconds[num_warmups:]) / len(counted) for name, seconds in stages.items()}
    return Speed(
        model=segmenter.model.config.name,
        weights=weights_label(engine.info),
        num_parameters=segmenter.model.num_parameters,
        size=segmenter.framing.frame,
        padded_size=segmenter.framing.padded,
        num_objects=num_objects,
        num_frames=len(counted),
        num_warmups=num_warmups,
        threads=torch.get_num_threads(),
        device=str(segmenter.model.device),
        elapsed_s=sum(counted),
        frames_per_s=len(counted) / sum(counted),
        p50_s=counted[len(counted) // 2],
        p95_s=counted[min(len(counted) - 1, int(0.95 * len(counted)))],
        looks_ahead=engine.looks_ahead,
        alone_s=sum(stages_s.values()),
        stages_s=stages_s,
        split_s=_split(stages_s),
        resident_bytes=resident_bytes(),
        session_bytes=segmenter.num_bytes,
    )


def _run_as_served(engine: Engine, path: Path, num_objects: int) -> tuple[VideoSegmenter, list[float]]:
    """Run a video to its end; give the segmenter and the seconds from each frame's answer to the next one's."""
    with open_video(path) as video:
        segmenter = _prompted(engine, (video.info.height, video.info.width), num_objects)
        is_cuda = segmenter.model.device.type == "cuda"
        totals: list[float] = []
        start = time.perf_counter()
        frames = video.frames()
        frame = next(frames, None)
        while frame is not None:
            coming = next(frames, None)
            for result in engine.step(segmenter, frame, coming):
                result_to_event(result, 1, weights_label(engine.info)).model_dump_json()
            _wait_for_device(is_cuda)
            end = time.perf_counter()
            totals.append(end - start)
            start, frame = end, coming
    return segmenter, totals


def _time_stages(engine: Engine, path: Path, num_objects: int) -> dict[str, list[float]]:
    """Run a video one frame after the other; give the seconds of each stage of each frame."""
    stages: dict[str, list[float]] = defaultdict(list)
    with open_video(path) as video:
        segmenter = _prompted(engine, (video.info.height, video.info.width), num_objects)
        is_cuda = segmenter.model.device.type == "cuda"
        frames = video.frames()
        with timed_modules(segmenter.model, is_cuda) as inner_s:
            while True:
                start = time.perf_counter()
                frame = next(frames, None)
                if frame is None:
                    return stages
                decoded = time.perf_counter()
                inner_s.clear()
                results = engine.step(segmenter, frame)
                _wait_for_device(is_cuda)
                stepped = time.perf_counter()
                for result in results:
                    result_to_event(result, 1, weights_label(engine.info)).model_dump_json()
                stages["decode"].append(decoded - start)
                for name, seconds in inner_s.items():
                    stages[name].append(seconds)
                stages["rest of step"].append(stepped - decoded - sum(inner_s.values()))
                stages["message"].append(time.perf_counter() - stepped)


def measure_memory(engine: Engine, path: Path, *, num_objects: int, sample_at: tuple[int, ...]) -> list[MemorySample]:
    """Run one session and note its memory after each of the given numbers of frames."""
    samples: list[MemorySample] = []
    start = time.perf_counter()
    with open_video(path) as video:
        segmenter = _prompted(engine, (video.info.height, video.info.width), num_objects)
        for num_frames, frame in enumerate(video.frames(), start=1):
            engine.step(segmenter, frame)
            if num_frames in sample_at:
                elapsed_s = time.perf_counter() - start
                samples.append(MemorySample(num_frames, resident_bytes(), segmenter.num_bytes, elapsed_s))
    return samples


def matmul_peak(sides: tuple[int, ...] = (1024, 1536, 2048), seconds_each: float = 0.5) -> dict[int, float]:
    """Give the best float32 GFLOP/s of a square matrix product for each side, with torch's present threads."""
    best: dict[int, float] = {}
    for side in sides:
        left, right = torch.randn(side, side), torch.randn(side, side)
        torch.matmul(left, right)
        until = time.perf_counter() + seconds_each
        shortest_s = float("inf")
        while time.perf_counter() < until:
            start = time.perf_counter()
            torch.matmul(left, right)
            shortest_s = min(shortest_s, time.perf_counter() - start)
        best[side] = 2 * side**3 / shortest_s / 1e9
    return best


def _split(stages_s: dict[str, float]) -> dict[str, float]:
    parts_s = {part: sum(stages_s.get(stage, 0.0) for stage in stages) for part, stages in _SPLIT.items()}
    return parts_s | {"rest": sum(stages_s.values()) - sum(parts_s.values())}


def _prompted(engine: Engine, size: tuple[int, int], num_objects: int) -> VideoSegmenter:
    """Begin a session with boxes on a grid."""
    segmenter = engine.open(size)
    num_rows = -(-num_objects // _GRID)
    for index in range(num_objects):
        left, top = index % _GRID / _GRID, index // _GRID / num_rows
        segmenter.add_prompt(BoxPrompt(index + 1, 0, (left, top, left + 1 / _GRID, top + 1 / num_rows)))
    return segmenter


@contextmanager
def timed_modules(model: nn.Module, is_cuda: bool) -> Iterator[dict[str, float]]:
    """Add up the seconds of the network's large parts; the caller clears the sums before each step.

    The mask decoder projects the picture in a call apart from its forward pass: those products are timed where they
    happen and count as the decoder's. A module that runs inside another timed one is not counted twice.
    """
    sums_s: dict[str, float] = defaultdict(float)
    running: list[float] = []  # when the outermost timed module, and those inside it, began
    hooks = []

    def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:  # noqa: ARG001
        if not running:
            _wait_for_device(is_cuda)
        running.append(time.perf_counter())

    for name, part in _timed_parts(model):

        def after(module: nn.Module, inputs: tuple[Tensor, ...], output: object, label: str = name) -> None:  # noqa: ARG001
            start = running.pop()
            if not running:
                _wait_for_device(is_cuda)
                sums_s[label] += time.perf_counter() - start

        hooks += [part.register_forward_pre_hook(before), part.register_forward_hook(after)]
    try:
        yield sums_s
    finally:
        for hook in hooks:
            hook.remove()


def _timed_parts(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """List what is timed, with the name of its stage; not every network has every part."""
    parts = [(name.replace("_", " "), getattr(model, name)) for name in _PARTS]
    projections = [
        ("mask decoder", module) for name, module in model.named_modules() if re.fullmatch(_PROJECTIONS, name)
    ]
    return [(name, part) for name, part in parts if part is not None] + projections


def _wait_for_device(is_cuda: bool) -> None:
    if is_cuda:
        torch.cuda.synchronize()
