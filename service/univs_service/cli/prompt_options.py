"""How prompts are written on the command line: `OBJECT:VALUE@FRAME`.

OBJECT is a whole number from 1, and 1 when left out (`OBJECT:`); FRAME is counted from 0, and 0 when left out
(`@FRAME`). Coordinates are pixels of the displayed frame, origin top-left.

    --point 2:120,80        a click on object 2 in frame 0
    --point 2:90,80,0       a click that says where object 2 is not; clicks on one object and frame count together
    --box 1:10,20,200,180   the rectangle around object 1: x0, y0, x1, y1
    --mask 3:cat.png@25     the pixels of object 3 in frame 25: a picture of the frame's size, black is outside
    --scribble "5:10,20 30,40 60,45"    a stroke over object 5, at least two points
    --text 4:"a brown bear" object 4 in words
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from univs_service.client import box, mask, scribble, text
from univs_service.client.prompts import new_prompt_id
from univs_service.messages import PromptIn

_LABELS: dict[str, Literal[0, 1]] = {"0": 0, "1": 1}
_PATTERN = re.compile(r"(?:(?P<object_id>\d+):)?(?P<value>.+?)(?:@(?P<frame_index>\d+))?")


class PromptSyntaxError(ValueError):
    """A prompt on the command line cannot be read."""


def read_prompts(
    points: Sequence[str],
    boxes: Sequence[str],
    masks: Sequence[str],
    texts: Sequence[str],
    scribbles: Sequence[str] = (),
) -> list[PromptIn]:
    """Read the prompts of a command line, in the order of their frames.

    Raises:
        PromptSyntaxError: for one that cannot be read, or two different kinds for one object in one frame.
    """
    prompts = [
        *_read_points(points),
        *(_read_box(option) for option in boxes),
        *(_read_mask(option) for option in masks),
        *(_read_text(option) for option in texts),
        *(_read_scribble(option) for option in scribbles),
    ]
    taken: set[tuple[int, int]] = set()
    for prompt in prompts:
        place = (prompt.object_id, prompt.frame_index)
        if place in taken:
            raise PromptSyntaxError(
                f"object {prompt.object_id} has two prompts in frame {prompt.frame_index}; give different objects "
                "different numbers, as in --box 1:10,20,200,180 --box 2:220,30,300,170"
            )
        taken.add(place)
    return sorted(prompts, key=lambda prompt: prompt.frame_index)


def _read_points(options: Sequence[str]) -> list[PromptIn]:
    """Gather the clicks of each object and frame into one prompt."""
    clicks: dict[tuple[int, int], list[tuple[float, float, Literal[0, 1]]]] = {}
    for option in options:
        object_id, value, frame_index = _split("--point", option, "2:120,80 or 2:90,80,0")
        fields = value.split(",")
        label = _LABELS.get(fields[2].strip()) if len(fields) == 3 else 1
        x, y = _numbers("--point", option, fields[:2], 2, "x,y or x,y,0 (off the object)")
        if label is None or len(fields) > 3:
            raise PromptSyntaxError(f"--point takes x,y or x,y,1 (on the object) or x,y,0 (off it), got {option!r}")
        clicks.setdefault((object_id, frame_index), []).append((x, y, label))
    return [
        PromptIn(prompt_id=new_prompt_id(), object_id=object_id, frame_index=frame_index, points=points)
        for (object_id, frame_index), points in clicks.items()
    ]


def _read_box(option: str) -> PromptIn:
    object_id, value, frame_index = _split("--box", option, "1:10,20,200,180")
    x0, y0, x1, y1 = _numbers("--box", option, value.split(","), 4, "x0,y0,x1,y1")
    try:
        return box(object_id, x0, y0, x1, y1, frame_index=frame_index)
    except ValidationError as error:
        raise PromptSyntaxError(f"--box {option}: {error.errors()[0]['msg']}") from error


def _read_mask(option: str) -> PromptIn:
    object_id, value, frame_index = _split("--mask", option, "3:cat.png")
    try:
        return mask(object_id, Path(value), frame_index=frame_index)
    except OSError as error:
        raise PromptSyntaxError(f"--mask expects a picture, cannot read {value!r}: {error}") from error


def _read_text(option: str) -> PromptIn:
    object_id, value, frame_index = _split("--text", option, '4:"a brown bear"')
    return text(object_id, value, frame_index=frame_index)


def _read_scribble(option: str) -> PromptIn:
    object_id, value, frame_index = _split("--scribble", option, "5:10,20 30,40")
    points = [
        _numbers("--scribble", option, point.split(","), 2, "points x,y with spaces between") for point in value.split()
    ]
    if len(points) < 2:
        raise PromptSyntaxError(f"--scribble takes at least two points, 5:10,20 30,40 for example, got {option!r}")
    return scribble(object_id, *((x, y) for x, y in points), frame_index=frame_index)


def _split(name: str, option: str, example: str) -> tuple[int, str, int]:
    """Take `OBJECT:VALUE@FRAME` apart."""
    match = _PATTERN.fullmatch(option.strip())
    if match is None or match["object_id"] == "0":
        raise PromptSyntaxError(
            f"{name} takes OBJECT:VALUE@FRAME with objects from 1 (for example {example}), got {option!r}"
        )
    return int(match["object_id"] or 1), match["value"], int(match["frame_index"] or 0)


def _numbers(name: str, option: str, fields: Sequence[str], count: int, form: str) -> list[float]:
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise PromptSyntaxError(f"{name} takes {form} in pixels, got {option!r}")
    return numbers
