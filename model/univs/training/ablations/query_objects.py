"""Objects that are shown by a mask, followed without prompts: by the learnable query that is most like them.

What MinVIS would do with a given mask: the query of the first frame whose mask overlaps it most is the object.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from univs.evaluation.vos import Mask
from univs.inference.entities.matching import pairs
from univs.inference.entities.query_tracking import RECENT, likeness
from univs.inference.framing import Framing
from univs.model import UniVS

LONG_SIDE_MAX_PX = 1333
_LEAST = -1.0  # likeness below which nobody is matched: none


@torch.inference_mode()
def follow_by_queries(
    model: UniVS, images: Sequence[Tensor], masks: Sequence[Mask], short_side_px: int
) -> list[list[Mask]]:
    """Follow O objects through frames.

    Args:
        model: the network, in evaluation mode.
        images: the frames, uint8 [3, H, W] each.
        masks: of the objects in the first frame, bool [H, W] each; at least one.
        short_side_px: of the picture that the network sees.
    Returns:
        For each frame the masks of the objects; in the first frame, the given ones.
    """
    framing = Framing.fit((images[0].shape[-2], images[0].shape[-1]), short_side_px, LONG_SIDE_MAX_PX)
    drawn, embeddings = _answers(model, framing, images[0], 0)
    alike = torch.from_numpy(np.array([[_overlap(mask, other) for other in drawn] for mask in masks]))
    looks = {row: [embeddings[query]] for row, query in _assigned(alike).items()}
    frames = [list(masks)]
    for position in range(1, len(images)):
        drawn, embeddings = _answers(model, framing, images[position], position)
        rows = list(looks)
        recent = torch.stack([torch.stack(looks[row][-RECENT:]).mean(dim=0) for row in rows])
        taken = {rows[place]: query for place, query in _assigned(likeness(recent, embeddings)).items()}
        frames.append([drawn[taken[row]] if row in taken else np.zeros_like(mask) for row, mask in enumerate(masks)])
        for row, query in taken.items():
            looks[row].append(embeddings[query])
    return frames


def _answers(model: UniVS, framing: Framing, image: Tensor, position: int) -> tuple[npt.NDArray[np.bool_], Tensor]:
    """Ask all learnable queries about a frame: masks bool [Q, H, W] and embeddings [Q, C]."""
    pixels = framing.shrink(image[None].to(model.device))[None]
    features = model.encode_frames(pixels, torch.tensor([[position]], device=model.device))
    prediction = model.decode(features, None, use_learnable=True)
    drawn = framing.enlarge(prediction.mask_logits[0, :, 0]) > 0
    return drawn.cpu().numpy(), prediction.embeddings[0, :, 0]


def _assigned(alike: Tensor) -> dict[int, int]:
    """Give each row its column, so that the sum is largest."""
    return {pair.entity_row: pair.detection_row for pair in pairs(alike, _LEAST)}


def _overlap(left: Mask, right: Mask) -> float:
    return float((left & right).sum() / max(1, (left | right).sum()))
