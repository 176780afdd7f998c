"""One way to get the masks of a video file, in process or from a service; `segment` and `demo` read both alike."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from univs_service.exports import VideoDescription
from univs_service.exports.masks import Image
from univs_service.messages import (
    ConfigRefused,
    Configure,
    Following,
    FrameError,
    FrameResultEvent,
    PromptIn,
    PromptRefused,
    RunDone,
    Wish,
)

if TYPE_CHECKING:
    from rich.console import Console

    from univs.types import Frame, FrameResult
    from univs.video import Video
    from univs_service.client import SyncEventStream
    from univs_service.worker.engine import Engine

_NOTHING_ELSE = Wish()  # than to follow the prompts
_AS_THE_WEIGHTS_SAY = Following()


@dataclass(frozen=True, slots=True)
class SegmentedFrame:
    """The masks of one frame, and its picture where that was asked for."""

    result: FrameResultEvent
    image: Image | None  # uint8 [H, W, 3], RGB


class Run(AbstractContextManager["Run"], Protocol):
    """A video on its way through the network; used with `with`."""

    @property
    def video(self) -> VideoDescription:
        """What is being segmented."""
        ...

    @property
    def num_frames(self) -> int | None:
        """How many frames will come, where that is known."""
        ...

    @property
    def warning(self) -> str | None:
        """After the last frame: why it was the last, when the video goes on after it."""
        ...

    def frames(self) -> Iterator[SegmentedFrame]:
        """Give the results in order, as they are made."""
        ...


class LocalRun(AbstractContextManager["Run"]):
    """Segment in this process, as a worker does; memory does not grow with the length of the video."""

    def __init__(
        self,
        engine: "Engine",
        path: Path,
        prompts: Sequence[PromptIn],
        to_frame: int | None,
        wish: Wish = _NOTHING_ELSE,
        following: Following = _AS_THE_WEIGHTS_SAY,
    ) -> None:
        """Open the video, take the prompts and read the categories.

        Raises:
            UniVSError, ServiceError: when one of these cannot be used.
        """
        from univs.video import open_video
        from univs_service.worker.convert import weights_label
        from univs_service.worker.memory import SessionMemory
        from univs_service.worker.session_segmenter import SessionSegmenter

        self._open = ExitStack()
        self._video: Video = self._open.enter_context(open_video(path))
        info = self._video.info
        self.video = VideoDescription(
            name=path.name, width=info.width, height=info.height, frame_rate=_rational(info.frame_rate)
        )
        self.num_frames = _fewer(info.num_frames, to_frame)
        self.warning: str | None = None
        self._weights = weights_label(engine.info)
        self._segmenter = SessionSegmenter.begin_session(
            engine, SessionMemory(), (info.height, info.width), following, is_still=info.is_still
        )
        for prompt in prompts:
            self._segmenter.add_prompt(prompt)
        if wish.tasks:
            self._segmenter.configure(Configure(task=wish.task, vocabulary=wish.vocabulary))
        self._segmenter.begin(0, is_correction=False)

    def frames(self) -> Iterator[SegmentedFrame]:
        """Decode, step and convert, one frame at a time; pictures wait for their results."""
        from univs.errors import DamagedVideoError

        waiting: dict[int, Frame] = {}
        try:
            for frame, coming in _with_the_next(self._video.frames()):
                if self.num_frames is not None and frame.index >= self.num_frames:
                    break
                waiting[frame.index] = frame
                for result in self._segmenter.step(frame, coming):
                    yield self._segmented(result, waiting.pop(result.frame_index))
        except DamagedVideoError as error:
            self.warning = str(error)
        for result in self._segmenter.finish():
            yield self._segmented(result, waiting.pop(result.frame_index))

    def _segmented(self, result: "FrameResult", frame: "Frame") -> SegmentedFrame:
        from univs_service.worker.convert import result_to_event

        words, warning = self._segmenter.words, self._segmenter.warning
        return SegmentedFrame(result_to_event(result, 1, self._weights, words, warning), _pixels(frame))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


def _with_the_next(frames: "Iterator[Frame]") -> "Iterator[tuple[Frame, Frame | None]]":
    """Pair each frame with the one after it; a file that breaks off gives its last frame before it says so."""
    from univs.errors import DamagedVideoError

    frame = next(frames, None)
    while frame is not None:
        try:
            coming = next(frames, None)
        except DamagedVideoError:
            yield frame, None
            raise
        yield frame, coming
        frame = coming


class ServiceRun(AbstractContextManager["Run"]):
    """Upload the file to a service and read the results as they come; the session is stopped at the end."""

    def __init__(
        self,
        url: str,
        path: Path,
        prompts: Sequence[PromptIn],
        wish: Wish = _NOTHING_ELSE,
        following: Following = _AS_THE_WEIGHTS_SAY,
        *,
        model: str | None,
        to_frame: int | None,
        needs_image: bool,
        console: "Console",
    ) -> None:
        """Upload and open a session.

        Raises:
            ClientError: when the service refuses or does not answer.
        """
        from univs_service.cli.progress import upload_progress
        from univs_service.client import UniVSClient

        self._path = path
        self._needs_image = needs_image
        self.warning: str | None = None
        with ExitStack() as opening:
            client = opening.enter_context(UniVSClient(url))
            with upload_progress(console, path.name) as progress:
                video = client.upload(path, progress)
            session = client.create_session(
                video,
                prompts,
                task=wish.task,
                vocabulary=wish.vocabulary,
                following=following,
                model=model,
                to_frame=to_frame,
            )
            opening.callback(client.delete, session)
            self._events: SyncEventStream = opening.enter_context(client.stream(session))
            self._open = opening.pop_all()
        self.video = VideoDescription(
            name=path.name, width=video.width, height=video.height, frame_rate=video.frame_rate
        )
        self.num_frames = _fewer(video.num_frames, to_frame)

    def frames(self) -> Iterator[SegmentedFrame]:
        """Read events; the pictures, where needed, are decoded here from the same file."""
        from univs_service.client import ProblemError

        pictures = _Pictures(self._path) if self._needs_image else None
        with ExitStack() as opened:
            if pictures is not None:
                opened.enter_context(pictures)
            for event in self._events:
                match event:
                    case FrameResultEvent():
                        image = None if pictures is None else pictures.read(event.frame_index)
                        yield SegmentedFrame(event, image)
                    case PromptRefused(problem=problem) | ConfigRefused(problem=problem):
                        raise ProblemError(problem)
                    case FrameError(problem=problem):
                        self.warning = problem.detail
                    case RunDone(reason="damaged", num_frames=num_frames):
                        self.warning = self.warning or f"the video is damaged after {num_frames} frames"
                    case _:
                        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        """Seconds until now."""
        return time.perf_counter() - self._start


class _Pictures(AbstractContextManager["_Pictures"]):
    """Frames of a file in rising order of their index."""

    def __init__(self, path: Path) -> None:
        from univs.video import open_video

        self._video = open_video(path)
        self._frames = self._video.frames()

    def read(self, frame_index: int) -> Image:
        for frame in self._frames:
            if frame.index == frame_index:
                return _pixels(frame)
        raise LookupError(f"the service gave masks for frame {frame_index}, which cannot be decoded here")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._video.close()


def _pixels(frame: "Frame") -> Image:
    """Turn [3, H, W] into [H, W, 3]."""
    pixels: Image = frame.image.permute(1, 2, 0).contiguous().numpy()
    return pixels


def load_engine(
    model: str | None, device: str | None, threads: int | None, short_side_px: int | None = None
) -> "Engine":
    """Load weights as a worker of the service would; what is None is read from the settings.

    Raises:
        WeightsError: when there are none of that name, or they do not fit.
    """
    from univs_service.cli.options import overridden
    from univs_service.worker.engine import Engine
    from univs_service.worker.weights_folder import resolved

    settings = overridden(model=model, device=device, threads=threads, short_side_px=short_side_px)
    return Engine.load(resolved(settings))


def _fewer(num_frames: int | None, to_frame: int | None) -> int | None:
    limits = [count for count in (num_frames, None if to_frame is None else to_frame + 1) if count is not None]
    return min(limits, default=None)


def _rational(rate: Fraction | None) -> str | None:
    return None if rate is None else f"{rate.numerator}/{rate.denominator}"
