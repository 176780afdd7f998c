"""What of a result is written: its objects, or the segments of its map.

Where a frame was divided among segments (`panoptic`, else `semantic`), the segments take the place of the entities:
most formats know only regions with an id and a category, which both are. Objects that a user prompted stay beside them.
"""

from types import TracebackType
from typing import Self

from univs_service.exports.masks import Image
from univs_service.exports.sink import ExportError, ResultSink
from univs_service.messages import FrameResultEvent, ObjectResult, SegmentMapResult, SegmentResult


def map_of(result: FrameResultEvent) -> SegmentMapResult | None:
    """Give the map of a frame, the panoptic one before the semantic one; None where nobody asked for one."""
    return result.semantic if result.panoptic is None else result.panoptic


class RegionSink:
    """Hand segments on as objects, in frames that have a map; the others go through as they are."""

    def __init__(self, sink: ResultSink) -> None:
        self._sink = sink

    @property
    def needs_image(self) -> bool:
        """Whether the sink behind it needs the pictures."""
        return self._sink.needs_image

    def write(self, result: FrameResultEvent, image: Image | None = None) -> None:
        """Turn the map of one frame into objects and hand it on."""
        found = map_of(result)
        if found is not None:
            segments = [_as_object(segment) for segment in found.segments_info]
            prompted = [answer for answer in result.objects if answer.category_id is None]
            _check_apart(segments, prompted, result.frame_index)
            result = result.model_copy(update={"objects": [*segments, *prompted]})
        self._sink.write(result, image)

    def __enter__(self) -> Self:
        self._sink.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sink.__exit__(kind, error, trace)


def _check_apart(segments: list[ObjectResult], prompted: list[ObjectResult], frame_index: int) -> None:
    """Refuse what a format could not tell apart.

    Raises:
        ExportError: when a segment and a prompted object have one id.
    """
    shared = {segment.object_id for segment in segments} & {answer.object_id for answer in prompted}
    if shared:
        raise ExportError(
            f"expected segments and prompted objects to have ids of their own, got {sorted(shared)} twice in frame "
            f"{frame_index}; export as json, which keeps them apart, or give the objects larger ids"
        )


def _as_object(segment: SegmentResult) -> ObjectResult:
    return ObjectResult(
        object_id=segment.id,
        score=segment.score,
        presence=1.0,  # what is not there has no segment
        state="visible",
        area=segment.area,
        area_fraction=segment.area_fraction,
        bbox=segment.bbox,
        label=segment.label,
        category_id=segment.category_id,
        is_thing=segment.is_thing,
        revision=0,
        mask=segment.mask,
    )
