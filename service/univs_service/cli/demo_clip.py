"""A short clip whose true masks are known: two cut-outs move over a photograph and cross each other.

The photographs ship inside the wheel of scikit-image and are free of rights: `coffee` (CC0, Rachel Michetti),
`astronaut` (NASA, public domain; the model of the shuttle beside the astronaut) and `rocket` (SpaceX, released
into the public domain).
"""

import importlib.resources
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

from univs_service.client import box, point
from univs_service.exports.masks import BoolMask
from univs_service.exports.masks import Image as ImageArray
from univs_service.messages import PromptIn

WIDTH, HEIGHT = 512, 288
NUM_FRAMES = 48
FRAME_RATE = Fraction(12)
CUP, SHUTTLE = 1, 2  # object ids
OBJECT_NAMES = {CUP: "cup", SHUTTLE: "shuttle"}

_SUPERSAMPLING = 4  # outlines are drawn larger and scaled down, so that they are smooth
# Outlines in pixels of the photographs: the saucer and the rim of the cup are ellipses (x0, y0, x1, y1).
_CUP_ELLIPSES = ((76.0, 66.0, 480.0, 389.0), (172.0, 17.0, 410.0, 210.0))
_SHUTTLE_OUTLINE = (
    *((387, 42), (391, 74), (397, 70), (397, 36), (403, 10), (412, 0), (425, 0), (434, 18), (437, 46)),
    *((443, 40), (449, 52), (453, 80), (455, 200), (456, 232), (459, 262), (446, 270), (433, 264)),
    *((428, 246), (418, 270), (396, 268), (386, 266), (376, 252), (370, 270), (366, 262), (372, 240)),
    *((379, 230), (356, 228), (355, 210), (370, 192), (377, 168), (380, 100), (381, 60)),
)


@dataclass(frozen=True, slots=True)
class DemoFrame:
    """One composed picture and the truth about it."""

    image: ImageArray  # uint8 [H, W, 3], RGB
    masks: dict[int, BoolMask]  # by object id; what lies behind the other object is left out


def compose() -> Iterator[DemoFrame]:
    """Give the frames: the cup slides to the right, in front of the shuttle that climbs to the left."""
    cup = _cut_out("coffee.png", scale=0.40, ellipses=_CUP_ELLIPSES)
    shuttle = _cut_out("astronaut.png", scale=0.62, outline=_SHUTTLE_OUTLINE)
    scenery = _photograph("rocket.jpg").resize((WIDTH + 96, (WIDTH + 96) * 427 // 640))
    for frame_index in range(NUM_FRAMES):
        progress = frame_index / (NUM_FRAMES - 1)
        pan_x = round(96 * progress)
        canvas = scenery.crop((pan_x, 60, pan_x + WIDTH, 60 + HEIGHT))
        behind = _paste(canvas, shuttle, 380 - 300 * progress, 104 - 90 * progress)
        front = _paste(canvas, cup, 16 + 300 * progress, 124 + 10 * math.sin(2 * math.pi * progress))
        yield DemoFrame(np.asarray(canvas), {CUP: front, SHUTTLE: behind & ~front})


def write_clip(path: Path) -> list[DemoFrame]:
    """Write the clip as H.264 in mp4, and give its frames with their true masks."""
    frames = list(compose())
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "16"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="rgb24")))
        container.mux(stream.encode(None))
    return frames


def prompts_for(first: DemoFrame) -> list[PromptIn]:
    """Name the objects in the first frame as a user would: a box around the cup, a click on the shuttle."""
    rows, columns = np.nonzero(first.masks[CUP])
    shuttle_rows, shuttle_columns = np.nonzero(first.masks[SHUTTLE])
    return [
        box(CUP, columns.min(), rows.min(), columns.max() + 1, rows.max() + 1),
        point(SHUTTLE, float(np.median(shuttle_columns)), float(np.median(shuttle_rows))),
    ]


def _photograph(name: str) -> Image.Image:
    with importlib.resources.as_file(importlib.resources.files("skimage") / "data" / name) as path:
        return Image.open(path).convert("RGB")


def _cut_out(
    name: str,
    scale: float,
    ellipses: tuple[tuple[float, float, float, float], ...] = (),
    outline: tuple[tuple[int, int], ...] = (),
) -> Image.Image:
    """Cut an object out of a photograph: RGBA, cropped to its outline."""
    photograph = _photograph(name)
    alpha = Image.new("L", [side * _SUPERSAMPLING for side in photograph.size])
    draw = ImageDraw.Draw(alpha)
    for ellipse in ellipses:
        draw.ellipse([coordinate * _SUPERSAMPLING for coordinate in ellipse], fill=255)
    if outline:
        draw.polygon([(x * _SUPERSAMPLING, y * _SUPERSAMPLING) for x, y in outline], fill=255)
    photograph.putalpha(alpha.resize(photograph.size, Image.Resampling.BOX))
    cropped = photograph.crop(photograph.getchannel("A").getbbox())
    return cropped.resize((round(cropped.width * scale), round(cropped.height * scale)), Image.Resampling.LANCZOS)


def _paste(canvas: Image.Image, cut_out: Image.Image, x: float, y: float) -> BoolMask:
    """Put a cut-out into the canvas, in place, and give the pixels [H, W] that it covers by half or more."""
    position = (round(x), round(y))
    canvas.paste(cut_out, position, cut_out)
    covered = Image.new("L", canvas.size)
    covered.paste(cut_out.getchannel("A"), position)
    return np.asarray(np.asarray(covered) >= 128)
