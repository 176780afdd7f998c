"""Short ways to write prompts. Coordinates are pixels of the displayed frame, origin top-left."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from univs_service.exports.masks import BoolMask, encode_mask
from univs_service.messages import PromptIn, Spread

XY = tuple[float, float]


def point(object_id: int, x: float, y: float, *more: XY, off: Sequence[XY] = (), frame_index: int = 0) -> PromptIn:
    """Name an object by clicks on it, and by clicks `off` it that say where it is not."""
    clicks: list[tuple[float, float, Literal[0, 1]]] = [(x, y, 1), *((*xy, 1) for xy in more)]
    clicks += [(*xy, 0) for xy in off]
    return PromptIn(prompt_id=new_prompt_id(), object_id=object_id, frame_index=frame_index, points=clicks)


def box(object_id: int, x0: float, y0: float, x1: float, y1: float, *, frame_index: int = 0) -> PromptIn:
    """Name an object by the rectangle around it."""
    return PromptIn(prompt_id=new_prompt_id(), object_id=object_id, frame_index=frame_index, box=(x0, y0, x1, y1))


def mask(object_id: int, source: ArrayLike | Path, frame_index: int = 0) -> PromptIn:
    """Name an object by its pixels: an array [H, W] or a PNG, of the frame's size; not zero is inside."""
    pixels = read_mask(source) if isinstance(source, Path) else np.asarray(source) != 0
    return PromptIn(prompt_id=new_prompt_id(), object_id=object_id, frame_index=frame_index, mask=encode_mask(pixels))


def scribble(object_id: int, *points: XY, frame_index: int = 0) -> PromptIn:
    """Name an object by a stroke over it."""
    return PromptIn(prompt_id=new_prompt_id(), object_id=object_id, frame_index=frame_index, scribble=list(points))


def spread(prompt: PromptIn, direction: Spread) -> PromptIn:
    """Have an object followed from its prompt forward, backward or both; backward only in stored videos."""
    return prompt.model_copy(update={"direction": direction})


def stuff(prompt: PromptIn, category: str) -> PromptIn:
    """Say that an object is stuff of a category of the session's `stuff_vocabulary`."""
    return prompt.model_copy(update={"stuff": category})


def text(object_id: int, words: str, frame_index: int = 0) -> PromptIn:
    """Name an object in words; only weights that were trained with text can serve it."""
    return PromptIn(prompt_id=new_prompt_id(), object_id=object_id, frame_index=frame_index, text=words)


def read_mask(path: Path) -> BoolMask:
    """Read a mask [H, W] from a picture: black or index 0 is outside, transparent pixels too."""
    with Image.open(path) as picture:
        if picture.mode in ("P", "1", "L", "I", "I;16"):
            return np.asarray(np.asarray(picture) != 0)
        pixels = np.asarray(picture.convert("RGBA"))
    return np.asarray((pixels[..., :3] != 0).any(axis=-1) & (pixels[..., 3] != 0))


def new_prompt_id() -> str:
    """Make an id; a prompt that arrives twice under one id counts once."""
    return uuid4().hex
