"""A frame with what was found in it painted over: masks, or a map of segments, and texts on them."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from univs_service.exports.masks import BoolMask, Image, crop
from univs_service.exports.palette import object_colour
from univs_service.exports.regions import map_of
from univs_service.exports.sink import ExportError
from univs_service.messages import FrameResultEvent, ObjectResult, SegmentMapResult, SegmentResult

OPACITY = 0.5
UNTRAINED = "weights: untrained, masks are random"
_PADDING_PX = 2  # around a text
_GRID = 64  # cells along the longer side of a region, where a place for its text is looked for

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_Colour = tuple[int, int, int]
_Box = tuple[float, float, float, float]  # left, top, right, bottom


def paint(image: Image, result: FrameResultEvent) -> Image:
    """Give a copy of the frame with its masks, their outlines and texts.

    An object has its number, name and score at its top. Of a frame that was divided among segments, each segment has
    its name inside; prompted objects lie above it. A warning of the result is written at the top left.

    Args:
        image: uint8 [H, W, 3], RGB.
        result: of this frame.
    Raises:
        ExportError: when the picture is of another size.
    """
    if image.shape[:2] != result.size:
        raise ExportError(
            f"frame {result.frame_index} is {image.shape[1]}x{image.shape[0]} pixels and its masks are "
            f"{result.size[1]}x{result.size[0]}; give the video that was segmented"
        )
    painted = image.copy()
    found = map_of(result)
    regions: list[ObjectResult] | list[SegmentResult] = [] if found is None else found.segments_info
    objects = [answer for answer in result.objects if found is None or answer.category_id is None]
    for region in (*regions, *objects):
        if region.area:
            _paint_mask(painted, region)
    return _write(painted, result, found, objects)


def colour_of(region: ObjectResult | SegmentResult) -> _Colour:
    """Give the colour of an object, of a thing, or of a category: the same in every frame."""
    match region:
        case ObjectResult():
            return object_colour(region.object_id)
        case SegmentResult():
            return object_colour(region.id)


def _paint_mask(painted: Image, region: ObjectResult | SegmentResult) -> None:
    """Blend one mask into the picture, inside its box only, and draw its outline."""
    x, y, width, height = region.bbox
    window = (slice(y, y + height), slice(x, x + width))
    inside = crop(region)
    colour = np.array(colour_of(region), dtype=np.float32)
    view = painted[window]
    blended = view[inside] * (1 - OPACITY) + colour * OPACITY
    view[inside] = blended.astype(np.uint8)
    view[_outline(inside)] = colour.astype(np.uint8)


def _outline(inside: BoolMask) -> BoolMask:
    """Mark the pixels of a mask that touch its outside, or the window's border."""
    return np.asarray(inside & ~_eroded(inside))


def _eroded(inside: BoolMask) -> BoolMask:
    framed = np.pad(inside, 1)
    return np.asarray(inside & framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:])


def _write(
    painted: Image, result: FrameResultEvent, found: SegmentMapResult | None, objects: list[ObjectResult]
) -> Image:
    picture = PillowImage.fromarray(painted)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(10, result.size[0] // 30))
    if found is not None:
        _write_names(draw, found, font)
    for answer in objects:
        if answer.area:
            name = f"{answer.object_id} {answer.label}" if answer.label else str(answer.object_id)
            position = (answer.bbox[0] + 2.0, answer.bbox[1] + 2.0)
            _label(draw, position, f"{name} {answer.score:.2f}", colour_of(answer), font)
    warning = UNTRAINED if result.weights == "untrained" else result.warning
    if warning:
        _label(draw, (4, 4), _fitted(draw, warning, font), (255, 255, 255), font)
    return np.asarray(picture)


def _write_names(draw: ImageDraw.ImageDraw, found: SegmentMapResult, font: _Font) -> None:
    """Write the name of each segment into it, the largest first; one that would cover another's is left out."""
    taken: list[_Box] = []
    for segment in sorted(found.segments_info, key=lambda segment: (-segment.area, segment.id)):
        if not segment.area:
            continue
        text = segment.label
        x, y = _heart(segment)
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        position = (x - (left + right) / 2, y - (top + bottom) / 2)
        box = _patch(draw, position, text, font)[1]
        if all(not _meet(box, other) for other in taken):
            taken.append(box)
            _label(draw, position, text, colour_of(segment), font)


def _heart(segment: SegmentResult) -> tuple[float, float]:
    """Find a point deep inside a region, x and y in pixels: what is left longest when it is worn away from outside."""
    inside = crop(segment)
    step = max(1, math.ceil(max(inside.shape) / _GRID))
    coarse = inside[::step, ::step]
    if not coarse.any():  # thinner than the grid
        step, coarse = 1, inside
    while (worn := _eroded(coarse)).any():
        coarse = worn
    rows, columns = np.nonzero(coarse)
    middle = len(rows) // 2
    return segment.bbox[0] + float(columns[middle]) * step, segment.bbox[1] + float(rows[middle]) * step


def _meet(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: _Font) -> str:
    """Break a text into lines that fit the picture."""
    width = draw.im.size[0] - 10
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(longer, font=font) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _patch(
    draw: ImageDraw.ImageDraw, position: tuple[float, float], text: str, font: _Font
) -> tuple[tuple[float, float], _Box]:
    """Find where a text and its patch lie, moved left and up where they would leave the picture."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = draw.im.size
    x = max(0, min(position[0], width - math.ceil(right) - _PADDING_PX))
    y = max(0, min(position[1], height - math.ceil(bottom) - _PADDING_PX))
    return (x, y), (x + left - _PADDING_PX, y + top - _PADDING_PX, x + right + _PADDING_PX, y + bottom + _PADDING_PX)


def _label(draw: ImageDraw.ImageDraw, position: tuple[float, float], text: str, colour: _Colour, font: _Font) -> None:
    """Write a text on a patch of the colour."""
    start, patch = _patch(draw, position, text, font)
    draw.rectangle(patch, fill=colour)
    is_bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140
    draw.text(start, text, fill=(0, 0, 0) if is_bright else (255, 255, 255), font=font)


def even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the last row and column where a side is odd, as 4:2:0 wants."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
