"""A video of a data set through a segmenter, frame by frame, as the service runs it."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Protocol, TypeAlias

from univs.data.sample import Source
from univs.types import Clip, Frame, FrameResult

_TIME_BASE = Fraction(1, 24)  # for display only; data sets of pictures have no clock

OnFrame: TypeAlias = Callable[[], None]  # told of every frame that went in


class Stepper(Protocol):
    """What prompted objects and categories have in common."""

    def step(self, clip: Clip) -> list[FrameResult]:
        """Take the next frames, and give the results that are known by now."""
        ...

    def finish(self) -> list[FrameResult]:
        """Give the results of frames that still wait."""
        ...


def frame_size(source: Source, item_index: int) -> tuple[int, int]:
    """Give the (height, width) of a video, by its first frame."""
    height, width = source.read(item_index, 0).image.shape[-2:]
    return int(height), int(width)


def results_of(segmenter: Stepper, source: Source, item_index: int, on_frame: OnFrame) -> Iterator[FrameResult]:
    """Give a result for every frame of a video, in order; `frame_index` is the position in the video."""
    for position in range(source.num_frames(item_index)):
        image = source.read(item_index, position).image
        yield from segmenter.step(Clip((Frame(position, position, _TIME_BASE, image),)))
        on_frame()
    yield from segmenter.finish()
