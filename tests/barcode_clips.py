"""Video files of every awkward kind, whose pictures carry their number: what a reader gives can be checked by sight."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tests import barcode

NUM_FRAMES = 40
RATE = 25
TIMESCALE = 12_800  # ticks of a second that the mp4 muxer chooses for 25 pictures a second
_B_FRAMES = {"g": "12", "bf": "3", "preset": "ultrafast", "x264-params": "b-adapt=0:open-gop=1:scenecut=0"}
_X265 = {"preset": "ultrafast", "x265-params": "keyint=16:bframes=3:log-level=none:pools=none"}


@dataclass(frozen=True, slots=True)
class Clip:
    """A file, and what is to be seen in it."""

    path: Path
    numbers: tuple[int, ...]  # of its pictures as they are shown, first to last
    times_s: tuple[Fraction, ...]  # when each is shown


def regular(index: int) -> int:
    """Show a picture every frame."""
    return index


def irregular(index: int) -> int:
    """Show pictures after one, two, five or nine frames: a variable frame rate."""
    return sum((1, 2, 1, 5, 1, 1, 9)[step % 7] for step in range(index))


def write(
    path: Path,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    *,
    ticks: Callable[[int], int] = regular,
    turn: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = lambda picture: picture,
) -> Clip:
    """Write the pictures 0 to 39.

    Args:
        path: its ending chooses the container.
        codec: name of the encoder.
        options: of it.
        ticks: when a picture is shown, in units of 1/25 s.
        turn: how pictures are stored.
    """
    stored = [np.ascontiguousarray(turn(barcode.draw(number))) for number in range(NUM_FRAMES)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = stored[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        for number, picture in enumerate(stored):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = ticks(number), Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Clip(path, tuple(range(NUM_FRAMES)), tuple(Fraction(ticks(number), RATE) for number in range(NUM_FRAMES)))


def write_jpegs(path: Path, orientation: int, turn: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Clip:
    """Write the pictures as JPEG files with an EXIF orientation into a Motion JPEG video, as some cameras do."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=RATE)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = turn(barcode.draw(0)).shape[:2]
        stream.pix_fmt = "yuvj420p"
        for number in range(NUM_FRAMES):
            file = BytesIO()
            Image.fromarray(np.ascontiguousarray(turn(barcode.draw(number)))).save(file, "JPEG", exif=exif)
            packet = av.Packet(file.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, RATE)
            packet.is_keyframe = True
            container.mux(packet)
    return Clip(path, tuple(range(NUM_FRAMES)), tuple(Fraction(number, RATE) for number in range(NUM_FRAMES)))


def edited(clip: Clip, first: int, count: int) -> Clip:
    """Show `count` pictures from `first` on by the edit list of an mp4; all of them stay in the file."""
    data = bytearray(clip.path.read_bytes())
    entry = data.index(b"elst") + 12  # after the name, version and flags, and the number of entries
    _, start = struct.unpack_from(">Ii", data, entry)
    movie_timescale = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    struct.pack_into(">Ii", data, entry, count * movie_timescale // RATE, start + first * TIMESCALE // RATE)
    clip.path.write_bytes(data)
    return Clip(
        clip.path, clip.numbers[first : first + count], tuple(Fraction(index, RATE) for index in range(count))
    )  # fmt: skip


def displayed_by(clip: Clip, matrix: tuple[int, int, int, int]) -> Clip:
    """Write the display matrix a b c d into the track header of an mp4."""
    data = bytearray(clip.path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    clip.path.write_bytes(data)
    return clip


MAKERS: dict[str, Callable[[Path], Clip]] = {
    "b-frames mp4": lambda folder: write(folder / "clip.mp4", options=_B_FRAMES),
    "b-frames mkv": lambda folder: write(folder / "clip.mkv", options=_B_FRAMES),
    "b-frames ts": lambda folder: write(folder / "clip.ts", options=_B_FRAMES),
    "b-frames hevc": lambda folder: write(folder / "clip.mp4", "libx265", _X265),
    "b-frames mpeg4": lambda folder: write(folder / "clip.avi", "mpeg4", {"g": "10"}),
    "hidden frames vp9": lambda folder: write(
        folder / "clip.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "1", "g": "20"}
    ),
    "motion jpeg": lambda folder: write(folder / "clip.avi", "mjpeg"),
    "motion jpeg turned by EXIF": lambda folder: write_jpegs(folder / "clip.avi", 6, np.rot90),
    "variable rate mp4": lambda folder: write(folder / "clip.mp4", options=_B_FRAMES, ticks=irregular),
    "variable rate mkv": lambda folder: write(folder / "clip.mkv", options=_B_FRAMES, ticks=irregular),
    "turned 90": lambda folder: displayed_by(
        write(folder / "clip.mp4", options=_B_FRAMES, turn=np.rot90), (0, 1, -1, 0)
    ),
    "turned 180": lambda folder: displayed_by(
        write(folder / "clip.mp4", options=_B_FRAMES, turn=lambda picture: np.rot90(picture, 2)), (-1, 0, 0, -1)
    ),
    "turned 270": lambda folder: displayed_by(
        write(folder / "clip.mp4", options=_B_FRAMES, turn=lambda picture: np.rot90(picture, 3)), (0, -1, 1, 0)
    ),
    "mirrored": lambda folder: displayed_by(
        write(folder / "clip.mp4", options=_B_FRAMES, turn=lambda picture: picture[:, ::-1]), (-1, 0, 0, 1)
    ),
    "edit list": lambda folder: edited(write(folder / "clip.mp4", options=_B_FRAMES), first=7, count=21),
    "edit list, turned": lambda folder: displayed_by(
        edited(write(folder / "clip.mp4", options=_B_FRAMES, turn=np.rot90), 3, 30),
        (0, 1, -1, 0),
    ),
}
