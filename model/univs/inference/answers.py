"""From logits to what the user gets."""

from torch import Tensor

from univs import rle
from univs.inference.framing import Framing
from univs.inference.tracks import Track
from univs.types import MaskResult, ObjectState


def object_mask(mask_logits: Tensor, framing: Framing) -> Tensor:
    """Threshold one object's logits at the size of the frame: [H/4, W/4] -> bool [H, W]."""
    return framing.enlarge(mask_logits[None])[0] > 0


def mask_result(
    track: Track,
    frame_index: int,
    mask: Tensor,
    *,
    score: float,
    presence: float,
    state: ObjectState,
    class_index: int | None = None,
) -> MaskResult:
    """Say what is known of one object in one frame.

    Args:
        track: the object.
        frame_index: the frame.
        mask: bool [H, W] at the size of the frame.
        score: how good the mask is believed to be, in [0, 1].
        presence: how sure that the object is in the frame, in [0, 1].
        state: visible, occluded or lost.
        class_index: row of the vocabulary, for an object that was found by its category.
    """
    encoded = rle.encode(mask)
    return MaskResult(
        object_id=track.object_id,
        frame_index=frame_index,
        score=score,
        presence=presence,
        state=state,
        area_fraction=rle.area(encoded) / mask.numel(),
        revision=track.revision,
        label=track.label,
        mask=encoded,
        class_index=class_index,
    )
