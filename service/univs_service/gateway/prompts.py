"""Check prompts against the video and the loaded weights before they enter a session's log."""

from collections.abc import Iterator, Sequence

from univs_service.errors import InvalidInputError, PromptOutOfRangeError, UnsupportedPromptError
from univs_service.messages import FieldError, ModelInfo, PromptIn, PromptKind, RleMask, Spread
from univs_service.store.records import SessionSpec

_COORDINATES = "coordinates are pixels of the displayed frame"


def check_prompt(
    prompt: PromptIn, spec: SessionSpec, models: Sequence[ModelInfo], where: Sequence[str | int] = ()
) -> None:
    """Refuse a prompt that lies outside the video or that no loaded weights of the session's model can serve.

    Args:
        prompt: as the client sent it.
        spec: of its session.
        models: what the workers have loaded; with none, every kind of prompt is let through.
        where: steps to the prompt in the client's request.
    Raises:
        UnsupportedPromptError, PromptOutOfRangeError, InvalidInputError
    """
    _check_kind(prompt, spec, models, where)
    _check_frame(prompt, spec, where)
    check_direction(prompt.direction, spec, where)
    for field, problem in _outside(prompt, spec):
        raise PromptOutOfRangeError(
            f"expected every coordinate inside the frame, 0..{spec.frame_width} x 0..{spec.frame_height} pixels, "
            f"got {problem} (object {prompt.object_id}); {_COORDINATES}",
            errors=[FieldError(loc=[*where, *field], msg=f"{problem} lies outside the frame")],
        )
    if prompt.mask is not None:
        _check_mask(prompt.mask, spec, where)
    if prompt.stuff is not None and spec.following.stuff_vocabulary is None:
        raise InvalidInputError(
            "expected `stuff_vocabulary` in a session whose prompts say `stuff`, got none; name the categories of "
            "things and stuff when the session is made",
            errors=[FieldError(loc=[*where, "stuff"], msg="needs `stuff_vocabulary` of the session")],
        )


def check_direction(direction: Spread, spec: SessionSpec, where: Sequence[str | int] = ()) -> None:
    """Refuse to go back in live frames, which are not kept.

    Raises:
        InvalidInputError: naming the field.
    """
    if direction != "forward" and spec.video is None:
        raise InvalidInputError(
            f"expected direction forward in a session with live frames, got {direction}: frames that have passed are "
            "not kept; prompt a frame that is still to come, or upload the video and make a session on it",
            errors=[FieldError(loc=[*where, "direction"], msg="must be forward: live frames cannot be gone back to")],
        )


def kind_of(prompt: PromptIn) -> PromptKind:
    """Say of which kind a prompt is."""
    if prompt.points is not None:
        return "points"
    if prompt.box is not None:
        return "box"
    if prompt.mask is not None:
        return "mask"
    return "scribble" if prompt.scribble is not None else "text"


def _check_kind(prompt: PromptIn, spec: SessionSpec, models: Sequence[ModelInfo], where: Sequence[str | int]) -> None:
    kind = kind_of(prompt)
    for model in models:
        if model.name == spec.model and kind not in model.prompts:
            reason = f": {model.no_text}" if kind == "text" and model.no_text else ""
            raise UnsupportedPromptError(
                f"expected a prompt that model {model.name!r} can serve ({', '.join(model.prompts)}), got "
                f"{kind}{reason}; "
                "use one of these, or a model that /v1/models lists with it",
                errors=[FieldError(loc=[*where, kind], msg=f"model {model.name!r} serves no prompts of this kind")],
            )


def _check_frame(prompt: PromptIn, spec: SessionSpec, where: Sequence[str | int]) -> None:
    num_frames = spec.video.num_frames if spec.video is not None else None
    last = spec.to_frame if spec.to_frame is not None else None if num_frames is None else num_frames - 1
    if prompt.frame_index < spec.from_frame or (last is not None and prompt.frame_index > last):
        upper = "the end" if last is None else last
        raise PromptOutOfRangeError(
            f"expected frame_index from {spec.from_frame} to {upper}, got {prompt.frame_index} "
            f"(object {prompt.object_id}); frames count from 0 in the order they are shown",
            errors=[FieldError(loc=[*where, "frame_index"], msg=f"must be from {spec.from_frame} to {upper}")],
        )


def _outside(prompt: PromptIn, spec: SessionSpec) -> Iterator[tuple[list[str | int], str]]:
    """Give place and words of coordinates that lie outside the frame."""
    for number, (x, y, _) in enumerate(prompt.points or ()):
        if not _is_inside(x, y, spec):
            yield ["points", number], f"point ({x:g}, {y:g})"
    for number, (x, y) in enumerate(prompt.scribble or ()):
        if not _is_inside(x, y, spec):
            yield ["scribble", number], f"scribble point ({x:g}, {y:g})"
    if prompt.box is not None:
        x0, y0, x1, y1 = prompt.box
        if not (_is_inside(x0, y0, spec) and _is_inside(x1, y1, spec)):
            yield ["box"], f"box ({x0:g}, {y0:g}, {x1:g}, {y1:g})"


def _is_inside(x: float, y: float, spec: SessionSpec) -> bool:
    return 0 <= x <= spec.frame_width and 0 <= y <= spec.frame_height


def _check_mask(mask: RleMask, spec: SessionSpec, where: Sequence[str | int]) -> None:
    if mask.size != (spec.frame_height, spec.frame_width):
        raise PromptOutOfRangeError(
            f"expected a mask of size [{spec.frame_height}, {spec.frame_width}] (height, width), "
            f"got {list(mask.size)}; resize the mask to the displayed frame",
            errors=[FieldError(loc=[*where, "mask", "size"], msg="must be height and width of the frame")],
        )
    runs = run_lengths(mask.counts)
    area, total = sum(runs[1::2]), sum(runs)
    if min(runs, default=0) < 0 or total != spec.frame_height * spec.frame_width or area == 0:
        raise InvalidInputError(
            f"expected COCO compressed run lengths of {spec.frame_height * spec.frame_width} pixels with at least "
            f"one of the object, got {total} pixels, {area} of the object; encode the mask as pycocotools does",
            errors=[FieldError(loc=[*where, "mask", "counts"], msg="must cover the frame and not be empty")],
        )


def run_lengths(counts: str) -> list[int]:
    """Read COCO compressed run lengths; a string that is none gives a wrong sum.

    The libraries trust their input; this is the check that it deserves it. Five bits a character from '0' on, low
    bits first, bit 5 says that more follow, bit 4 of the last is the sign; from the third on, differences.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts.encode(errors="replace"):
        code = character - 48
        if not 0 <= code < 64 or shift > 60:
            return []
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return [] if shift else runs
