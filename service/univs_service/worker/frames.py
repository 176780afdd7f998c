"""Where the frames of a session come from: a stored video, or the folder into which the gateway writes pushed ones."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from univs.errors import VideoError
from univs.types import Frame
from univs.video import KeyFrame, open_video
from univs_service.errors import BadFrameError
from univs_service.messages import PushFrame
from univs_service.pictures import decode_picture

PUSHED_TIME_BASE = Fraction(1, 90_000)


class FileFrames:
    """Frames of a stored video, decoded on demand."""

    def __init__(self, path: Path, known_keyframe: tuple[int, int] | None = None) -> None:
        """Open the video.

        Args:
            path: of the file.
            known_keyframe: what `keyframe_before` gave for this file before; makes a late start quick.
        Raises:
            VideoError: when it cannot be read.
        """
        keyframes = () if known_keyframe is None else (KeyFrame(*known_keyframe),)
        self._video = open_video(path, keyframes)
        self._iterator: Iterator[Frame] = iter(())
        self._next_index = -1
        self._peeked: Frame | VideoError | None = None

    def keyframe_before(self, index: int) -> tuple[int, int] | None:
        """Give index and pts of the nearest frame met, at or before one, from which decoding can start."""
        met = [keyframe for keyframe in self._video.keyframes if keyframe.index <= index]
        return (met[-1].index, met[-1].pts) if met else None

    def read(self, index: int) -> Frame | None:
        """Give the frame of an index, None past the end; in ascending order nothing is decoded twice.

        Raises:
            DamagedVideoError: when the video breaks off before it.
        """
        if index != self._next_index:
            self._iterator, self._peeked = self._video.frames(index), None
        self._next_index = index + 1
        peeked, self._peeked = self._peeked, None
        if isinstance(peeked, VideoError):
            raise peeked
        return peeked or next(self._iterator, None)

    def peek(self) -> Frame | None:
        """Give the frame that comes next, without reading past it; None where there is none, or it cannot be read."""
        if self._peeked is None:
            try:
                self._peeked = next(self._iterator, None)
            except VideoError as error:
                self._peeked = error
        return None if isinstance(self._peeked, VideoError) else self._peeked

    def close(self) -> None:
        """Close the file."""
        self._video.close()


class PushedFrames:
    """Frames that the client pushes; their files are kept until a snapshot covers them."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self._folder = folder
        self._width = width
        self._height = height
        self._peeked: tuple[PushFrame, Frame] | None = None

    def read(self, push: PushFrame) -> Frame:
        """Read one pushed frame.

        Raises:
            BadFrameError: when the file is not what the command says.
        """
        peeked, self._peeked = self._peeked, None
        if peeked is not None and peeked[0] is push:
            return peeked[1]
        try:
            data = bytearray((self._folder / push.name).read_bytes())
        except FileNotFoundError as error:
            raise BadFrameError(
                f"expected pushed frame {push.frame_index} in the spool folder, but it is gone; "
                "push the frames again in a new session"
            ) from error
        if push.encoding == "raw":
            pixels = self._shape(data)
        else:
            pixels = decode_picture(bytes(data), push.encoding, self._width, self._height)
        image = torch.from_numpy(pixels).permute(2, 0, 1)  # [3, H, W], strides as the video decoder gives them
        return Frame(push.frame_index, push.pts, PUSHED_TIME_BASE, image)

    def peek(self, push: PushFrame) -> Frame | None:
        """Read a frame that will be read soon; None when it cannot be, which `read` will say."""
        try:
            frame = self.read(push)
        except BadFrameError:
            return None
        self._peeked = push, frame
        return frame

    def forget(self, before: int) -> None:
        """Delete the files of frames before an index."""
        for path in self._folder.glob("*.*"):
            if path.stem.isdecimal() and int(path.stem) < before:
                path.unlink(missing_ok=True)

    def _shape(self, data: bytearray) -> NDArray[np.uint8]:
        if len(data) != 3 * self._width * self._height:
            raise BadFrameError(
                f"expected {self._width} x {self._height} pixels of rgb24 without padding, got {len(data)} bytes; "
                "push frames of the size that the session was made with"
            )
        return np.frombuffer(data, dtype=np.uint8).reshape(self._height, self._width, 3)
