"""Masks as we decide on them: each object for itself, frame by frame, by its presence and by its looks."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from univs.inference.cohesion import main_body
from univs.inference.framing import Framing
from univs.inference.options import InferenceOptions
from univs.inference.prompting import given_mask, prompt_prior
from univs.inference.quality import consistency, stability
from univs.inference.reach import within_boxes, within_reach
from univs.prompt_encoder.regions import Canvas
from univs.types import VisualPrompt

_OUT_OF_REACH = -10.0  # logit of pixels that cannot be the object's


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is made of the decoder's answer for one object in one frame."""

    mask: Tensor  # bool [H, W] at the size of the frame
    coarse: Tensor  # bool [H/4, W/4] on the padded picture
    prior: Tensor  # [h, w] in [0, 1]
    score: float
    presence: float
    quality: float
    is_visible: bool
    is_whole: bool  # one body, rather than several pieces


def judge_alone(
    logits: Tensor,
    embedding: Tensor,
    presence_logit: Tensor | None,
    past: Sequence[Tensor],
    prior: Tensor,
    seconds: float,
    is_whole: bool,
    prompts: Sequence[VisualPrompt],
    framing: Framing,
    canvas: Canvas,
    options: InferenceOptions,
) -> Judgement:
    """Decide whether an object is in sight, and which pixels are its own.

    Args:
        logits: [H/4, W/4], its mask.
        embedding: [1, C].
        presence_logit: scalar; None for a network without a presence head.
        past: its embeddings [C] of earlier frames, oldest first.
        prior: [h, w], the share of each cell that it covered one frame ago; zeros when it was not seen.
        seconds: between that frame and this one.
        is_whole: whether it is known to be one body.
        prompts: what the user said of it in this frame; a mask is taken as it is.
        framing: sizes of the video.
        canvas: the same for prompts.
        options: thresholds.
    """
    quality = float(stability(logits[None]))
    similarity = consistency(past, embedding)
    presence = max(0.0, similarity)
    if presence_logit is not None:
        presence = float(presence_logit.sigmoid())
    told = given_mask(prompts)
    if told is not None:  # the user's own word is not second-guessed
        told = told.to(logits.device)
        covered = prompt_prior(prompts, canvas, logits.device)
        coarse = functional.interpolate(covered[None, None], size=logits.shape, mode="nearest")[0, 0] >= 0.5
        is_whole = options.cohesion is not None and main_body(coarse, options.cohesion) is None
        return Judgement(told, coarse, covered, 1.0, 1.0, 1.0, is_visible=bool(told.any()), is_whole=is_whole)
    near = None
    if options.reach is not None:
        size = (logits.shape[0], logits.shape[1])
        if prompts:
            near = within_boxes(prompts, canvas, size)
        else:
            near = within_reach(prior, size, options.reach, options.reach_margin, seconds)
    if near is not None:
        logits = torch.where(near.to(logits.device), logits, logits.clamp(max=_OUT_OF_REACH))
    if options.cohesion is not None and (prompts or is_whole):
        body = main_body(logits > 0, options.cohesion)
        is_whole = body is None
        if body is not None and not prompts:
            logits, is_whole = torch.where(body, logits, logits.clamp(max=_OUT_OF_REACH)), True
    mask = framing.enlarge(logits[None].float())[0] > 0
    is_believed = bool(prompts) or (
        presence >= options.presence_threshold and similarity > options.consistency_threshold
    )
    is_visible = is_believed and bool(mask.any())
    covered = functional.adaptive_avg_pool2d((logits > 0).to(logits.dtype)[None], canvas.grid)[0]
    return Judgement(
        mask & is_visible, logits > 0, covered, presence * quality, presence, quality, is_visible, is_whole
    )


def as_batch(judgements: Sequence[Judgement]) -> Tensor:
    """Stack the masks on which tokens are sampled: bool [1, O, H/4, W/4]."""
    return torch.stack([judgement.coarse for judgement in judgements])[None]
