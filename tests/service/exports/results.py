"""Results to export, and plain readers of what came out, written to the published formats."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from numpy.typing import NDArray

from univs_service.exports import ExportFormat, FrameAddress, VideoDescription, decode_mask, encode_mask, open_export
from univs_service.messages import FrameResultEvent, ObjectResult, SegmentResult

BoolMask = NDArray[np.bool_]

SIZE = (45, 61)  # odd on purpose: 4:2:0 wants even
VIDEO = VideoDescription(name="clip.mp4", width=SIZE[1], height=SIZE[0], frame_rate="25")

masks = hypothesis_numpy.arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def square(top: int, left: int, side: int = 10) -> BoolMask:
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def ring(top: int, left: int, side: int = 20, thickness: int = 4) -> BoolMask:
    """A square with a square hole."""
    inner = square(top + thickness, left + thickness, side - 2 * thickness)
    return square(top, left, side) & ~inner


def answer(
    object_id: int, mask: BoolMask, score: float = 0.9, label: str | None = None, state: str = "visible"
) -> ObjectResult:
    rows, columns = np.nonzero(mask)
    bbox = (
        (int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
        if rows.size
        else (0, 0, 0, 0)
    )
    return ObjectResult.model_validate(
        {
            "object_id": object_id,
            "score": score,
            "presence": 1.0,
            "state": state,
            "area": int(mask.sum()),
            "area_fraction": float(mask.mean()),
            "bbox": bbox,
            "label": label,
            "revision": 0,
            "mask": encode_mask(mask),
        }
    )


def frame(index: int, *objects: ObjectResult, weights: str = "nano") -> FrameResultEvent:
    return FrameResultEvent(
        seq=index + 1,
        run_id=1,
        frame_index=index,
        pts=1000 + 512 * index,
        time_base="1/12800",
        size=objects[0].mask.size if objects else SIZE,
        weights=weights,
        objects=list(objects),
    )


def segment(segment_id: int, mask: BoolMask, label: str, category_id: int, *, is_thing: bool = False) -> SegmentResult:
    whole = answer(segment_id, mask)
    return SegmentResult(
        id=segment_id,
        category_id=category_id,
        label=label,
        is_thing=is_thing,
        score=0.5,
        area=whole.area,
        area_fraction=whole.area_fraction,
        bbox=whole.bbox,
        mask=whole.mask,
    )


def moving_square(num_frames: int) -> list[FrameResultEvent]:
    return [frame(index, answer(1, square(5 + index, 7 + index))) for index in range(num_frames)]


def story() -> list[FrameResultEvent]:
    """A dog (1) that is away in frame 1, and from there on a ring (7) without a name; frame 2 has no result."""
    nothing = np.zeros(SIZE, dtype=np.bool_)
    return [
        frame(0, answer(1, square(2, 3), score=0.8, label="dog")),
        frame(1, answer(1, nothing, score=0.1, label="dog", state="occluded"), answer(7, ring(10, 20))),
        frame(3, answer(1, square(8, 3) | square(30, 45), score=0.6, label="dog"), answer(7, ring(20, 30))),
    ]


def true_masks(results: Iterable[FrameResultEvent]) -> dict[tuple[int, int], BoolMask]:
    """The masks of objects that are there, by frame and object."""
    return {
        (result.frame_index, each.object_id): decode_mask(each.mask)
        for result in results
        for each in result.objects
        if each.area
    }


def export(
    path: Path,
    kind: ExportFormat,
    results: Sequence[FrameResultEvent],
    video: VideoDescription = VIDEO,
    frames: FrameAddress | None = None,
) -> Path:
    """Write results; give the path."""
    with open_export(path, video, kind, frames=frames) as sink:
        for result in results:
            sink.write(result)
    return path


def fill_even_odd(rings: Iterable[NDArray[np.float64] | NDArray[np.int64]], size: tuple[int, int]) -> BoolMask:
    """The pixels whose centres lie inside an odd number of rings [N, 2] of x, y; works for slanting sides too."""
    height, width = size
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    is_inside = np.zeros(size, dtype=np.bool_)
    for each in rings:
        for (x0, y0), (x1, y1) in zip(each, np.roll(each, -1, axis=0), strict=True):
            if y0 != y1:
                passes = (np.minimum(y0, y1) <= y) & (y < np.maximum(y0, y1))
                crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
                is_inside ^= passes[:, None] & (x[None, :] > crossing[:, None])
    return is_inside


def intersection_over_union(one: BoolMask, other: BoolMask) -> float:
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else 1.0
