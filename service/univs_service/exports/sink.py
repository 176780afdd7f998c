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
