"""Results as a film: the frames with their masks painted over, as H.264 in mp4, each at its own time."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from univs_service.exports.files import WholeFile
from univs_service.exports.masks import Image
from univs_service.exports.painting import even, paint
from univs_service.exports.sink import ExportError, FrameOrder
from univs_service.messages import FrameResultEvent


class OverlaySink:
    """Write the painted frames; they must come in rising order."""

    needs_image = True

    def __init__(self, path: Path, frame_rate: Fraction | None) -> None:
        self._target = WholeFile(path)
        self._frame_rate = frame_rate or Fraction(30)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._first_pts = 0
        self._last_pts = -1
        self._order = FrameOrder()

    def __enter__(self) -> Self:
        partial = self._target.__enter__().partial
        self._container = av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"})
        return self

    def write(self, result: FrameResultEvent, image: Image | None = None) -> None:
        """Paint one frame and encode it."""
        if image is None:
            raise ExportError("an overlay needs the picture of every frame, got none; give the video's own frames")
        self._order.check(result)
        time_base = Fraction(result.time_base)
        if self._stream is None:
            self._stream = self._open_stream(result.size, time_base)
            self._first_pts = result.pts
        pts = self._last_pts = max(result.pts - self._first_pts, self._last_pts + 1)  # some muxers repeat a pts
        frame = av.VideoFrame.from_ndarray(even(paint(image, result)), format="rgb24")
        frame.pts = pts
        frame.time_base = time_base
        self._mux(frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._container is not None
        has_frames = self._stream is not None
        if kind is None and has_frames:
            self._mux(None)
        if has_frames:
            self._container.close()
        else:
            self._target.partial.unlink(missing_ok=True)  # a film without frames is none
        self._target.__exit__(kind, error, trace)

    def _open_stream(self, size: tuple[int, int], time_base: Fraction) -> VideoStream:
        """Add the stream once the first frame tells its size: [H, W] rounded up to even, as 4:2:0 wants."""
        assert self._container is not None, "a sink is used with `with`"
        stream = self._container.add_stream("libx264", rate=self._frame_rate)
        stream.height, stream.width = (side + side % 2 for side in size)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = time_base
        stream.options = {"crf": "20", "preset": "veryfast"}
        return stream

    def _mux(self, frame: av.VideoFrame | None) -> None:
        assert self._container is not None
        assert self._stream is not None
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
