"""Begin to follow an object, or take in a correction of one that is followed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from univs.inference.framing import Framing
from univs.inference.memory_writing import blank_tokens, for_frame
from univs.inference.options import InferenceOptions, Judge
from univs.inference.prompting import given_mask, prompt_prior
from univs.inference.tracks import Track
from univs.memory_pool import MemoryPool
from univs.prompt_encoder.regions import Canvas
from univs.prompt_encoder.visual import SamplerOptions, sample_prompts
from univs.types import CategoryPrompt, ClipFeatures, MaskPrompt, Prompt, TextPrompt, VisualPrompt

_PRIOR_DTYPE = torch.float16


def visual_only(prompts: Sequence[Prompt]) -> list[VisualPrompt]:
    """Leave out what was said in words."""
    return [prompt for prompt in prompts if not isinstance(prompt, TextPrompt | CategoryPrompt)]


@dataclass(frozen=True, slots=True)
class Introduction:
    """What is the same for all objects of a video."""

    pool: MemoryPool
    canvas: Canvas
    sampler: SamplerOptions
    framing: Framing
    options: InferenceOptions

    def introduce(
        self, known: Track | None, object_id: int, prompts: Sequence[Prompt], features: ClipFeatures, position: int
    ) -> Track:
        """Bring an object's prompts in one frame into the memory.

        Args:
            known: its track; None when it is new.
            object_id: as the user named it.
            prompts: all for the same frame.
            features: the window.
            position: of the frame in the window.
        Returns:
            Its track.
        """
        frame_index = int(features.frame_indices[0, position])
        track = known or self._begin(object_id, frame_index, features)
        for prompt in prompts:
            if isinstance(prompt, TextPrompt):
                track.text = prompt.text
        shown = visual_only(prompts)
        if shown:
            has_mask = any(isinstance(prompt, MaskPrompt) for prompt in shown)
            self._show(track, shown, features, position, replaces=known is None or has_mask)
        track.revision += len(prompts)
        return track

    def _begin(self, object_id: int, frame_index: int, features: ClipFeatures) -> Track:
        level = features.levels[-1]
        dtype = torch.float32 if self.options.half_precision_memory else level.dtype
        embeddings = torch.zeros(self.pool.shape.num_frames, level.shape[2], dtype=dtype, device=level.device)
        prior = torch.zeros(self.canvas.grid, dtype=_PRIOR_DTYPE, device=level.device)
        track = Track(object_id, embeddings, prior, first_frame=frame_index, prompted_frame=frame_index)
        if self.options.judge is Judge.COMPETITION:
            num_frames = level.shape[1]
            track.logits = torch.zeros(num_frames, *self.framing.padded, dtype=level.dtype, device=level.device)
        self.pool.write_first(object_id, blank_tokens(self.pool, frame_index))
        return track

    def _show(
        self,
        track: Track,
        prompts: Sequence[VisualPrompt],
        features: ClipFeatures,
        position: int,
        *,
        replaces: bool,
    ) -> None:
        """Write tokens of prompts.

        Args:
            track: of the object.
            prompts: for the frame at `position`.
            features: the window.
            position: of the frame.
            replaces: this is how the object is known from now on, not only in this frame.
        """
        level = features.levels[-1][0, position]
        frame_index = int(features.frame_indices[0, position])
        prior = prompt_prior(prompts, self.canvas, level.device).to(_PRIOR_DTYPE)
        track.prior = prior if replaces else torch.maximum(track.prior, prior)
        told = given_mask(prompts)
        if track.logits is not None and told is not None:  # tokens follow when windows are written into the memory
            track.prompted_frame, track.is_given = frame_index, True
            track.logits = _with_frame(track.logits, position, self.framing.place(told.to(level.device)))
            return
        tokens = sample_prompts(level, frame_index, prompts, self.canvas, self.sampler)
        if replaces:
            self.pool.write_first(track.object_id, tokens)
        else:
            self.pool.write(track.object_id, tokens)
        if track.logits is not None:  # the newest frames stand in with the tokens of the prompt
            for index in features.frame_indices[0, position:].tolist():
                self.pool.write(track.object_id, for_frame(tokens, index))


def _with_frame(logits: Tensor, position: int, mask: Tensor) -> Tensor:
    """Write a given mask into one frame, with value 1 as published."""
    changed = logits.clone()
    changed[position] = mask.to(logits.dtype)
    return changed
