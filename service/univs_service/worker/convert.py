"""Between the wire and `univs`: pixels to fractions, messages to types, results to events. The only such place."""

import numpy as np
import torch

from univs import errors as model_errors
from univs import rle
from univs.types import (
    BoxPrompt,
    FrameResult,
    MaskPrompt,
    MaskResult,
    PointPrompt,
    Prompt,
    ScribblePrompt,
    Segment,
    SegmentMap,
    TextPrompt,
)
from univs.vocabularies import Vocabulary
from univs.weights import WeightsInfo
from univs_service import errors
from univs_service.messages import (
    FrameResultEvent,
    ObjectResult,
    Problem,
    PromptIn,
    RleMask,
    SegmentMapResult,
    SegmentResult,
    Weights,
)
from univs_service.worker.event_log import UNNUMBERED

UNTRAINED = "untrained"

# The first entry that an error is an instance of says what the client sees; branches come after their leaves.
_ERRORS: tuple[tuple[type[model_errors.UniVSError], type[errors.ServiceError]], ...] = (
    (model_errors.PromptOutOfRangeError, errors.PromptOutOfRangeError),
    (model_errors.UnsupportedPromptError, errors.UnsupportedPromptError),
    (model_errors.DamagedVideoError, errors.DamagedVideoError),
    (model_errors.NoFramesError, errors.NoFramesError),
    (model_errors.NotAVideoError, errors.NotAVideoError),
    (model_errors.VideoNotFoundError, errors.UnknownVideoError),
    (model_errors.InputError, errors.InvalidInputError),
)


def prompt_from_message(message: PromptIn, frame_size: tuple[int, int]) -> Prompt:
    """Turn a prompt in pixels into one in fractions.

    Args:
        message: as the client sent it, checked by its own rules.
        frame_size: (height, width) in pixels.
    Raises:
        InvalidInputError: for a mask of another size than the frame.
        RleError: for a mask that is malformed.
    """
    height, width = frame_size
    object_id, frame_index = message.object_id, message.frame_index
    if message.points is not None:
        return PointPrompt(
            object_id,
            frame_index,
            points_xy=tuple((x / width, y / height) for x, y, _ in message.points),
            is_positive=tuple(label == 1 for _, _, label in message.points),
        )
    if message.box is not None:
        x0, y0, x1, y1 = message.box
        return BoxPrompt(object_id, frame_index, (x0 / width, y0 / height, x1 / width, y1 / height))
    if message.scribble is not None:
        return ScribblePrompt(object_id, frame_index, tuple((x / width, y / height) for x, y in message.scribble))
    if message.mask is not None:
        return MaskPrompt(object_id, frame_index, _mask(message.mask, frame_size))
    assert message.text is not None, "a prompt has exactly one of its five kinds"
    return TextPrompt(object_id, message.text, frame_index)


def result_to_event(
    result: FrameResult, run_id: int, weights: str, words: Vocabulary | None = None, warning: str | None = None
) -> FrameResultEvent:
    """Turn the answers for one frame into its event.

    Args:
        result: of the frame.
        run_id: of the run it belongs to.
        weights: in one word, as `weights_label` gives it.
        words: the categories that were looked for; needed where entities or segments are in the result.
        warning: why it means nothing, or little.
    """
    return FrameResultEvent(
        seq=UNNUMBERED,
        run_id=run_id,
        frame_index=result.frame_index,
        pts=result.pts,
        time_base=f"{result.time_base.numerator}/{result.time_base.denominator}",
        size=result.size,
        weights=weights,
        warning=warning,
        objects=[_object_result(mask, words) for mask in result.objects],
        semantic=_segment_map(result.semantic, words),
        panoptic=_segment_map(result.panoptic, words),
    )


def weights_to_message(info: WeightsInfo) -> Weights:
    """Say which weights answer."""
    return Weights(
        name=info.name,
        sha256=info.sha256,
        is_trained=info.is_trained,
        note=info.note,
        trained_for=[kind.value for kind in info.trained_for] if info.is_trained else [],
    )


def weights_label(info: WeightsInfo) -> str:
    """Name the weights in one word; random ones have no other name than what they are."""
    return info.name if info.is_trained else UNTRAINED


def problem_of(error: Exception) -> Problem:
    """Say to a client what went wrong; what is not the client's business stays in our log."""
    if isinstance(error, errors.ServiceError):
        return error.to_problem()
    for known, ours in _ERRORS:
        if isinstance(error, known):
            return ours(str(error)).to_problem()
    return errors.InternalError(
        f"expected the worker to go on with this session, got {type(error).__name__}; "
        "make a new session, and report it with the session's id if it happens again"
    ).to_problem()


def _object_result(result: MaskResult, words: Vocabulary | None) -> ObjectResult:
    x, y, width, height = rle.to_bbox(result.mask)
    row = result.class_index
    assert row is None or words is not None, "an entity is of a category that was looked for"
    return ObjectResult(
        object_id=result.object_id,
        score=round(result.score, 4),
        presence=round(result.presence, 4),
        state=result.state.value,
        area=rle.area(result.mask),
        area_fraction=round(result.area_fraction, 6),
        bbox=(int(x), int(y), int(width), int(height)),
        label=result.label,
        category_id=None if words is None or row is None else words.category_ids[row],
        is_thing=None if words is None or row is None else words.is_thing[row],
        revision=result.revision,
        mask=RleMask(size=result.mask.size, counts=result.mask.counts),
    )


def _segment_map(found: SegmentMap | None, words: Vocabulary | None) -> SegmentMapResult | None:
    if found is None:
        return None
    assert words is not None, "a map is of the categories that were looked for"
    return SegmentMapResult(segments_info=[_segment(segment, words) for segment in found.segments])


def _segment(segment: Segment, words: Vocabulary) -> SegmentResult:
    x, y, width, height = rle.to_bbox(segment.mask)
    return SegmentResult(
        id=segment.segment_id,
        object_id=segment.object_id,
        category_id=words.category_ids[segment.class_index],
        label=segment.label,
        is_thing=segment.is_thing,
        score=round(segment.score, 4),
        area=rle.area(segment.mask),
        area_fraction=round(segment.area_fraction, 6),
        bbox=(int(x), int(y), int(width), int(height)),
        mask=RleMask(size=segment.mask.size, counts=segment.mask.counts),
    )


def _mask(mask: RleMask, frame_size: tuple[int, int]) -> torch.Tensor:
    if mask.size != frame_size:
        raise errors.InvalidInputError(
            f"expected a mask of the frame's size [height, width] = {list(frame_size)}, got {list(mask.size)}; "
            "scale it to the frame, rotation applied"
        )
    return torch.from_numpy(np.ascontiguousarray(rle.decode(rle.Rle(mask.size, mask.counts))))
