"""Results as a film: the frames with their masks painted over, as H.264 in mp4, each at its own time."""

import math
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from univs_service.exports.files import WholeFile
from univs_service.exports.masks import BoolMask, Image, crop
from univs_service.exports.palette import object_colour
from univs_service.exports.sink import ExportError, FrameOrder
from univs_service.messages import FrameResultEvent, ObjectResult

OPACITY = 0.5
_PADDING_PX = 2  # around a text
UNTRAINED = "weights: untrained, masks are random"


def paint(image: Image, result: FrameResultEvent) -> Image:
    """Give a copy of the frame with its masks, their outlines, and number, name and score at the top of each.

    Args:
        image: uint8 [H, W, 3], RGB.
        result: the masks of this frame.
    """
    if image.shape[:2] != result.size:
        raise ExportError(
            f"frame {result.frame_index} is {image.shape[1]}x{image.shape[0]} pixels and its masks are "
            f"{result.size[1]}x{result.size[0]}; give the video that was segmented"
        )
    painted = image.copy()
    for answer in result.objects:
        if answer.area:
            _paint_mask(painted, answer)
    return _write_labels(painted, result)


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
        frame = av.VideoFrame.from_ndarray(_even(paint(image, result)), format="rgb24")
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


def _paint_mask(painted: Image, answer: ObjectResult) -> None:
    """Blend one mask into the picture, inside its box only, and draw its outline."""
    x, y, width, height = answer.bbox
    window = (slice(y, y + height), slice(x, x + width))
    inside = crop(answer)
    colour = np.array(object_colour(answer.object_id), dtype=np.float32)
    view = painted[window]
    blended = view[inside] * (1 - OPACITY) + colour * OPACITY
    view[inside] = blended.astype(np.uint8)
    view[_outline(inside)] = colour.astype(np.uint8)


def _outline(inside: BoolMask) -> BoolMask:
    """Mark the pixels of a mask that touch its outside, or the window's border."""
    framed = np.pad(inside, 1)
    is_inner = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    return np.asarray(inside & ~is_inner)


def _write_labels(painted: Image, result: FrameResultEvent) -> Image:
    """Write number, name and score at the top left of each object, and plainly when the weights are untrained."""
    picture = PillowImage.fromarray(painted)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(10, result.size[0] // 30))
    for answer in result.objects:
        if answer.area:
            name = f"{answer.object_id} {answer.label}" if answer.label else str(answer.object_id)
            position = (answer.bbox[0] + 2, answer.bbox[1] + 2)
            _label(draw, position, f"{name} {answer.score:.2f}", object_colour(answer.object_id), font)
    if result.weights == "untrained":
        _label(draw, (4, 4), UNTRAINED, (255, 255, 255), font)
    return np.asarray(picture)


def _label(
    draw: ImageDraw.ImageDraw,
    position: tuple[int, int],
    text: str,
    colour: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Write a text on a patch of the colour, moved left and up where it would leave the picture."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = draw.im.size
    x = max(0, min(position[0], width - math.ceil(right) - _PADDING_PX))
    y = max(0, min(position[1], height - math.ceil(bottom) - _PADDING_PX))
    patch = (x + left - _PADDING_PX, y + top - _PADDING_PX, x + right + _PADDING_PX, y + bottom + _PADDING_PX)
    draw.rectangle(patch, fill=colour)
    is_bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140
    draw.text((x, y), text, fill=(0, 0, 0) if is_bright else (255, 255, 255), font=font)


def _even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the last row and column where a side is odd."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
