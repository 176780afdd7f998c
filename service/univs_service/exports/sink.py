"""Where results go: one interface for every kind of export, and the errors of all of them."""

from types import TracebackType
from typing import Protocol, Self

from univs_service.exports.masks import Image
from univs_service.messages import FrameResultEvent


class ExportError(Exception):
    """Results cannot be written as asked; the message says what was expected, what came and what to do."""


class ResultSink(Protocol):
    """Takes results frame by frame and holds none of them: memory does not grow with the length of the video.

    Used with `with`: leaving it normally makes the export complete, leaving it by an exception removes what
    is half written.
    """

    @property
    def needs_image(self) -> bool:
        """Whether `write` must be given the picture of the frame."""
        ...

    def write(self, result: FrameResultEvent, image: Image | None = None) -> None:
        """Add the masks of one frame.

        Args:
            result: as it came from the stream.
            image: uint8 [H, W, 3], RGB, the frame itself; only where `needs_image`.
        Raises:
            ExportError: when this kind of export cannot hold the result.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FrameOrder:
    """Holds a sink to frames that come once, in rising order, each object in them once."""

    def __init__(self) -> None:
        self._last_index = -1

    def check(self, result: FrameResultEvent) -> None:
        """Look at the next result.

        Raises:
            ExportError: when its frame has passed, or an object id stands in it twice.
        """
        if result.frame_index <= self._last_index:
            raise ExportError(
                f"expected frames in rising order, got frame {result.frame_index} after frame {self._last_index}; "
                "only a .json file takes a frame again after it was refined: write that, or the finished session"
            )
        self._last_index = result.frame_index
        check_ids(result)


def check_ids(result: FrameResultEvent) -> None:
    """Refuse a frame in which two objects have the same id.

    Raises:
        ExportError: naming the id.
    """
    seen: set[int] = set()
    for answer in result.objects:
        if answer.object_id in seen:
            raise ExportError(
                f"expected every object of frame {result.frame_index} to have an id of its own, got "
                f"{answer.object_id} twice; number the objects apart"
            )
        seen.add(answer.object_id)
