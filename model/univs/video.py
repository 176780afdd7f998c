"""Frames of a video file, one after the other, through PyAV.

`frame_index` counts the pictures that a decode from the start gives, in display order. Each pts is the
decoder's own; in files whose muxer wrote them wrongly they repeat or step back. Rotation and mirroring of the
display matrix are applied; non-square pixels are not stretched; a picture whose size differs from the first
is scaled to it. A still (PNG, JPEG, WebP) is a video of one frame; transparency in it is left out.

Damage. Pictures that the decoder repairs by itself (a lost reference, a wrong slice) are given like others.
Data that the decoder or the container refuses end the iteration with `DamagedVideoError` after the last good
frame; so does a file that ends well before the length its header states. Before the first good picture
refused data are skipped: recordings of a running stream begin in the middle.
"""

import weakref
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import numpy as np
import torch
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image
from torch import Tensor

from univs.errors import DamagedVideoError, InputError, NoFramesError, NotAVideoError, VideoNotFoundError
from univs.types import Frame

# Playlists (HLS, DASH, concat) are left out on purpose: they make the reader open other files and hosts.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,ogg,asf,gif,apng,ivf,h264,hevc,m4v,png_pipe"
# Demuxers of stills that must be named (FFmpeg would see a numbered series of files): start, text at byte 8, demuxer.
_STILLS = ((b"\xff\xd8\xff", b"", "jpeg_pipe"), (b"RIFF", b"WEBP", "webp_pipe"))
_EXIF_ORIENTATION = 0x0112
# How pixels that bear this value of the EXIF tag become upright: swapped axes, mirrored in x, mirrored in y.
_EXIF_TURNS = {
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
BLOCK_BYTES = 64 * 2**20  # pixels that are kept for going backward
_KEYFRAME_SPACING = 64  # remember at most one key frame in so many frames, so that memory stays small
_REMEDY = "re-encode it (ffmpeg -i FILE -c:v libx264 NEW.mp4) or upload it again"


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of a video before it is decoded."""

    width: int  # of the frames as given, rotation applied
    height: int
    num_frames: int | None  # from the container's packets; the decoder has the last word in damaged files
    frame_rate: Fraction | None  # average, in frames per second
    rotation: int  # degrees clockwise that are applied: 0, 90, 180 or 270
    time_base: Fraction
    duration_s: float | None
    is_still: bool = False  # one picture, without a time


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A frame that decodes without those before it, and its exact index."""

    index: int
    pts: int


@dataclass(frozen=True, slots=True)
class _Orientation:
    """How stored pixels become upright: swap the axes, then flip."""

    is_transposed: bool = False
    flips_x: bool = False
    flips_y: bool = False

    @property
    def degrees(self) -> int:
        """Turn clockwise; a mirror image is named like the turn nearest to it."""
        if self.is_transposed:
            return 90 if self.flips_x else 270
        return 180 if self.flips_y else 0

    def apply(self, image: Tensor) -> Tensor:
        """Turn [3, H, W] upright."""
        if self.is_transposed:
            image = image.transpose(1, 2)
        axes = [axis for axis, flips in ((1, self.flips_y), (2, self.flips_x)) if flips]
        return image.flip(axes) if axes else image


def open_video(path: Path | str, keyframes: tuple[KeyFrame, ...] = ()) -> "Video":
    """Open a video file.

    Args:
        path: a local file.
        keyframes: `Video.keyframes` of the same file from an earlier process, to start late frames quickly.
    Raises:
        VideoNotFoundError: if there is no such file.
        NotAVideoError: if it is no video of a known container and codec.
        NoFramesError: if not one picture can be decoded.
    """
    path = Path(path)
    with _open_container(path) as container:
        num_packets = _count_packets(container)
    with _open_container(path) as container:
        stream = _video_stream(container, path)
        try:
            first = next(_pictures(container, stream), None)
        except av.FFmpegError as error:
            raise NoFramesError(
                f"{path.name} has {num_packets} packets, none can be decoded: {error.strerror}; {_REMEDY}"
            ) from error
        if first is None:
            raise NoFramesError(f"expected at least one picture in {path.name}, got none; {_REMEDY}")
        is_still = container.format.name.endswith("_pipe")
        orientation = _orientation_of_still(path) if is_still else _orientation_of(first)
        width, height = first.width, first.height
        duration_s = _duration_s(container, stream)
        info = VideoInfo(
            width=height if orientation.is_transposed else width,
            height=width if orientation.is_transposed else height,
            num_frames=1 if is_still else num_packets,  # a photograph may bring a smaller copy of itself
            frame_rate=None if is_still else stream.average_rate or stream.guessed_rate,
            rotation=orientation.degrees,
            time_base=stream.time_base or Fraction(1, av.time_base),
            duration_s=duration_s,
            is_still=is_still,
        )
    return Video(path, info, orientation, keyframes)


class Video:
    """A readable video. `frames` may be called again and gives the same frames each time."""

    def __init__(self, path: Path, info: VideoInfo, orientation: _Orientation, keyframes: tuple[KeyFrame, ...]) -> None:
        self.path = path
        self.info = info
        self._orientation = orientation
        self._keyframes = list(keyframes)
        self._iterators: weakref.WeakSet[Generator[Frame, None, None]] = weakref.WeakSet()

    @property
    def keyframes(self) -> tuple[KeyFrame, ...]:
        """Key frames met so far, ascending and at least 64 frames apart."""
        return tuple(self._keyframes)

    def frames(self, start_index: int = 0) -> Iterator[Frame]:
        """Decode frames on demand from `start_index` to the end, at constant memory.

        Decoding starts at the nearest earlier key frame whose index a decode has counted, else at the start
        of the file: containers do not tell how many pictures their packets become. A start beyond the end
        gives no frame.

        Raises:
            InputError: for a negative start.
            DamagedVideoError: after the last good frame, when the data after it are broken or missing.
        """
        if start_index < 0:
            raise InputError(f"start_index must be at least 0, got {start_index}; frames are counted from 0")
        iterator = self._iterate(start_index)
        self._iterators.add(iterator)
        return iterator

    def frames_backward(self, start_index: int, max_bytes: int = BLOCK_BYTES) -> Iterator[Frame]:
        """Decode frames on demand from `start_index` down to the first, at bounded memory.

        Frames can only be decoded forward, so they come in blocks: each is decoded from the nearest key frame before
        it, and its frames are kept until they are given. The larger the blocks, the less is decoded twice.

        Args:
            start_index: of the first frame that is given.
            max_bytes: of the pixels of one block; a block has at least one frame.
        Raises:
            InputError: for a start that is negative or beyond the end.
            DamagedVideoError: when data before the start are broken.
        """
        if start_index < 0:
            raise InputError(f"start_index must be at least 0, got {start_index}; frames are counted from 0")
        return self._descend(start_index, max(1, max_bytes // (3 * self.info.width * self.info.height)))

    def close(self) -> None:
        """Close the files of all unfinished iterators."""
        for iterator in list(self._iterators):
            iterator.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _descend(self, start_index: int, block_length: int) -> Iterator[Frame]:
        for last in range(start_index, -1, -block_length):
            first = max(0, last - block_length + 1)
            block = list(islice(self.frames(first), last - first + 1))
            if not block or block[-1].index != last:
                raise InputError(
                    f"expected frame {last} in {self.path.name}, which ends before it; begin at a frame that it has"
                )
            while block:
                yield block.pop()

    def _iterate(self, start_index: int) -> Generator[Frame, None, None]:
        index, end_s = -1, 0.0
        with _open_container(self.path) as container:
            stream = _video_stream(container, self.path)
            try:
                for index, picture in self._numbered(container, stream, start_index):
                    end_s = _end_s(picture)
                    if index >= start_index:
                        yield self._to_frame(index, picture)
                    if self.info.is_still:
                        return
            except av.FFmpegError as error:
                raise self._damaged(index, f"the data after it cannot be decoded ({error.strerror})") from error
            missing_s = _missing_s(container, stream, end_s)
        if missing_s:
            raise self._damaged(index, f"about {missing_s:.1f} s that its header promises are missing")

    def _numbered(
        self, container: InputContainer, stream: VideoStream, start_index: int
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Count pictures from the best place to start; remember key frames on the way."""
        known = [keyframe for keyframe in self._keyframes if keyframe.index <= start_index]
        landed = _land(container, stream, known[-1]) if known else None
        if known and landed is None:
            self._keyframes.clear()
            with _open_container(self.path) as reopened:
                yield from self._numbered(reopened, _video_stream(reopened, self.path), start_index)
            return
        first_index = known[-1].index if landed else 0
        last_pts: int | None = None
        is_ordered = True
        for index, picture in enumerate(landed or _pictures(container, stream), first_index):
            is_ordered &= picture.pts is not None and (last_pts is None or picture.pts > last_pts)
            last_pts = picture.pts
            self._remember(index, picture, is_ordered)
            yield index, picture

    def _remember(self, index: int, picture: VideoFrame, is_ordered: bool) -> None:
        """Keep a key frame as a place to start, unless a pts steps back: then seeking by pts is unsafe."""
        if not is_ordered or picture.pts is None:
            self._keyframes.clear()
            return
        last_index = self._keyframes[-1].index if self._keyframes else 0
        if picture.key_frame and index >= last_index + _KEYFRAME_SPACING:
            self._keyframes.append(KeyFrame(index, picture.pts))

    def _to_frame(self, index: int, picture: VideoFrame) -> Frame:
        width, height = self.info.width, self.info.height
        if self._orientation.is_transposed:
            width, height = height, width
        pixels = picture.to_ndarray(format="rgb24", width=width, height=height)
        image = self._orientation.apply(torch.from_numpy(pixels).permute(2, 0, 1))  # [3, H, W]
        pts = picture.pts if picture.pts is not None else index
        return Frame(index, pts, picture.time_base or self.info.time_base, image)

    def _damaged(self, last_good_frame_index: int, reason: str) -> DamagedVideoError:
        return DamagedVideoError(
            f"{self.path.name} is damaged: frame {last_good_frame_index} is the last good one, {reason}; {_REMEDY}",
            last_good_frame_index,
        )


def _open_container(path: Path) -> InputContainer:
    if not path.is_file():
        raise VideoNotFoundError(f"expected a video file at {path}, there is none; check the path")
    # "file:" keeps a name such as "concat:a|b" or "http:..." from being read as a protocol.
    kind = _still_kind(path)
    options = {"format_whitelist": kind or _CONTAINERS, "protocol_whitelist": "file"}
    try:
        return av.open(f"file:{path.absolute()}", format=kind, container_options=options, metadata_errors="ignore")
    except av.FFmpegError as error:
        raise NotAVideoError(
            f"expected a video (mp4, mkv, webm, avi, ...) or a picture (PNG, JPEG, WebP) in {path.name}, got: "
            f"{error.strerror}; {_REMEDY}"
        ) from error


def _still_kind(path: Path) -> str | None:
    """Give the demuxer of a still that must be named to be used; None where FFmpeg finds the right one."""
    with path.open("rb") as file:
        start = file.read(12)
    found = (kind for first, second, kind in _STILLS if start.startswith(first) and start[8:].startswith(second))
    return next(found, None)


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Choose the first moving picture; cover art is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    raise NotAVideoError(f"expected a video stream with a known codec in {path.name}, got none; {_REMEDY}")


def _count_packets(container: InputContainer) -> int | None:
    """Count what will become pictures, without decoding; None if the file breaks off."""
    if not container.streams.video:
        return None
    try:
        return sum(packet.size > 0 and not packet.is_discard for packet in container.demux(video=0))
    except av.FFmpegError:
        return None


def _pictures(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode in display order; on refused data give what the decoder still holds, then raise."""
    has_given = False
    try:
        for packet in container.demux(stream):
            try:
                pictures = packet.decode()
            except av.FFmpegError:
                if has_given:
                    raise
                continue
            for picture in pictures:
                has_given = True
                yield picture
    except av.FFmpegError:
        yield from _drain(stream)
        raise


def _drain(stream: VideoStream) -> Iterator[VideoFrame]:
    try:
        yield from stream.codec_context.decode(None)
    except av.FFmpegError:
        return


def _land(container: InputContainer, stream: VideoStream, keyframe: KeyFrame) -> Iterator[VideoFrame] | None:
    """Seek to a known key frame; None if the container does not lead there."""
    try:
        container.seek(keyframe.pts, stream=stream)
        pictures = _pictures(container, stream)
        for picture in pictures:
            if picture.pts is None or picture.pts > keyframe.pts:
                return None
            if picture.pts == keyframe.pts and picture.key_frame:
                return chain([picture], pictures)
    except av.FFmpegError:
        return None
    return None


def _orientation_of(picture: VideoFrame) -> _Orientation:
    """Read the display matrix, nearest right angle: nine int32 that map (x, y) to (a x + c y, b x + d y)."""
    try:
        side_data = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:  # beside it lies a kind of data that PyAV does not know, as EXIF in Motion JPEG
        turn = round(-picture.rotation / 90) % 4  # clockwise; a mirror image does not show
        return _Orientation(is_transposed=turn in {1, 3}, flips_x=turn in {1, 2}, flips_y=turn in {2, 3})
    if side_data is None:
        return _Orientation()
    a, b, _, c, d = np.frombuffer(cast(bytes, side_data), dtype=np.int32)[:5].tolist()  # typed as object
    if abs(b) > abs(a):
        return _Orientation(is_transposed=True, flips_x=c < 0, flips_y=b < 0)
    return _Orientation(flips_x=a < 0, flips_y=d < 0)


def _orientation_of_still(path: Path) -> _Orientation:
    """Read the EXIF tag, of which PyAV tells the turn, but not whether the picture is mirrored."""
    try:
        with Image.open(path) as header:
            tag = header.getexif().get(_EXIF_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        tag = 1  # FFmpeg reads it, and nothing in it says how it was held
    return _Orientation(*_EXIF_TURNS.get(tag, (False, False, False)))


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration is not None else None


def _end_s(picture: VideoFrame) -> float:
    if picture.pts is None or picture.time_base is None:
        return float("inf")
    return float((picture.pts + (picture.duration or 0)) * picture.time_base)


def _missing_s(container: InputContainer, stream: VideoStream, end_s: float) -> float:
    """Seconds between the last picture and the promised end; 0 if no promise is made or the gap is small.

    Only the stream's own length counts, which mov, avi and matroska without sound state; sound may last on.
    """
    is_alone = len(container.streams) == 1
    if stream.duration is None and not (is_alone and "matroska" in container.format.name):
        return 0.0
    duration_s = _duration_s(container, stream) or 0.0
    start_s = float((stream.start_time or 0) * (stream.time_base or 0))
    missing_s = start_s + duration_s - end_s
    return missing_s if missing_s > max(1.0, 0.1 * duration_s) else 0.0
