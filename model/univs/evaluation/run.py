"""Trackers through a data set: prompts from the first true mask, scores of every clip, PNGs on request."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, assert_never

import numpy as np
import torch
from PIL import Image
from scipy import ndimage  # type: ignore[import-untyped]
from torch import Tensor

from univs.data.sample import Picture
from univs.evaluation.strips import ClipStrip
from univs.evaluation.trackers import TrackerFactory
from univs.evaluation.vos import ClipScore, Mask, score_clip, scored_frames
from univs.types import BoxPrompt, MaskPrompt, PointPrompt, VisualPrompt

_OBJECT_ID = 1
_RED_PALETTE = (0, 0, 0, 128, 0, 0)  # entries 0 and 1, as DAVIS draws them


class NamedClip(Protocol):
    """A clip, as far as it has a name and files."""

    @property
    def name(self) -> str:
        """Name of the clip."""
        ...

    @property
    def image_paths(self) -> tuple[Path, ...]:
        """Files of its frames, in order."""
        ...


class ClipSource(Protocol):
    """Videos of one object each, which shows in the first frame: DAVIS 2016, or objects of other videos."""

    @property
    def clips(self) -> Sequence[NamedClip]:
        """The videos."""
        ...

    def num_frames(self, item_index: int, /) -> int:
        """Count the frames of a video."""
        ...

    def read(self, item_index: int, position: int, /) -> Picture:
        """Read one frame and the mask of its object."""
        ...


class PromptChoice(StrEnum):
    """What the tracker is told in the first frame."""

    MASK = "mask"
    BOX = "box"
    POINT = "point"


@dataclass(frozen=True, slots=True)
class VosReport:
    """Scores of all clips of a split."""

    clips: tuple[ClipScore, ...]
    frames_per_s: float  # of the tracker alone, reading and scoring left out

    @property
    def region(self) -> float:
        """Mean J over clips."""
        return float(np.mean([clip.region for clip in self.clips]))

    @property
    def boundary(self) -> float:
        """Mean F over clips."""
        return float(np.mean([clip.boundary for clip in self.clips]))

    @property
    def mean(self) -> float:
        """J&F over clips."""
        return (self.region + self.boundary) / 2


def evaluate_vos(
    source: ClipSource,
    tracker: TrackerFactory,
    prompt: PromptChoice,
    png_folder: Path | None = None,
    on_frame: Callable[[str, int], None] | None = None,
    strip_folder: Path | None = None,
) -> VosReport:
    """Follow the object of every clip, and score it against the truth.

    Args:
        source: a split of single-object video.
        tracker: makes a tracker for a clip.
        prompt: what it is told in the first frame.
        png_folder: where masks are written, CLIP/FRAME.png as DAVIS wants them; None writes nothing.
        on_frame: told of clip and frame as they are done.
        strip_folder: where a picture of every clip is written, CLIP.jpg; None writes nothing.
    """
    stopwatch = _Stopwatch()
    scores = []
    for item_index, clip in enumerate(source.clips):
        counted = set(scored_frames(source.num_frames(item_index)))
        pairs = []
        strip = ClipStrip(source.num_frames(item_index))
        for position, image, predicted, truth in _follow(source, item_index, tracker, prompt, stopwatch):
            if strip_folder is not None:
                strip.add(position, image, predicted, truth)
            if png_folder is not None:
                write_mask(png_folder / clip.name / f"{clip.image_paths[position].stem}.png", predicted)
            if position in counted:
                pairs.append((predicted, truth))
            if on_frame is not None:
                on_frame(clip.name, position)
        if strip_folder is not None:
            strip.write(strip_folder / f"{clip.name}.jpg")
        scores.append(score_clip(clip.name, pairs))
    return VosReport(tuple(scores), stopwatch.rate)


def prompt_of(mask: Mask, choice: PromptChoice) -> VisualPrompt:
    """Make the prompt that a careful user would give for a mask bool [H, W], in frame 0.

    A point is the one farthest from the mask's edge, a box is tight.
    """
    height, width = mask.shape
    match choice:
        case PromptChoice.MASK:
            return MaskPrompt(_OBJECT_ID, 0, torch.from_numpy(mask))
        case PromptChoice.BOX:
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            top, bottom = int(rows[0]) / height, (int(rows[-1]) + 1) / height
            left, right = int(columns[0]) / width, (int(columns[-1]) + 1) / width
            return BoxPrompt(_OBJECT_ID, 0, (left, top, right, bottom))
        case PromptChoice.POINT:
            depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
            row, column = np.unravel_index(int(np.argmax(depth)), mask.shape)
            point = ((float(column) + 0.5) / width, (float(row) + 0.5) / height)
            return PointPrompt(_OBJECT_ID, 0, (point,), (True,))
        case _:
            assert_never(choice)


def write_mask(path: Path, mask: Mask) -> None:
    """Write a mask as an indexed PNG of 0 and 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask.astype(np.uint8), mode=None).convert("P")
    image.putpalette(_RED_PALETTE)
    image.save(path)


class _Stopwatch:
    """Counts frames and the seconds spent on them."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._num_frames = 0

    def add(self, seconds: float) -> None:
        """Count one frame."""
        self._seconds += seconds
        self._num_frames += 1

    @property
    def rate(self) -> float:
        """Frames per second; 0 before the first."""
        return self._num_frames / self._seconds if self._seconds else 0.0


def _follow(
    source: ClipSource, item_index: int, tracker: TrackerFactory, prompt: PromptChoice, stopwatch: _Stopwatch
) -> Iterator[tuple[int, Tensor, Mask, Mask]]:
    """Give position, picture, predicted and true mask of every frame of a clip, as its mask is known."""
    follower = tracker()
    num_frames = source.num_frames(item_index)
    waiting: deque[tuple[int, Tensor, Mask]] = deque()
    for position in range(num_frames):
        picture = source.read(item_index, position)
        truth = picture.masks[0].numpy()
        waiting.append((position, picture.image, truth))
        started = time.perf_counter()
        if position == 0:
            predictions = follower.start(picture.image, prompt_of(truth, prompt), truth)
        else:
            predictions = follower.follow(picture.image)
        if position == num_frames - 1:
            predictions = predictions + follower.finish()
        if position > 0:
            stopwatch.add(time.perf_counter() - started)
        for predicted in predictions:
            known_position, image, known_truth = waiting.popleft()
            yield known_position, image, predicted, known_truth
    assert not waiting, "a tracker gives one mask for each frame"
