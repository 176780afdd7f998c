"""A training clip run as inference runs it: prompt the first frame, remember, decode the next frame from memory.

The pieces are those of `univs.inference.VideoSegmenter`: prompts and masks become tokens by the same sampler, objects
are decoded by the same `decode_objects`. What differs: many clips at once, gradients, and now and then the true mask
is remembered in place of the predicted one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from univs.data.sample import Batch
from univs.data.simulate_prompts import simulate_correction
from univs.inference.prompting import prompt_prior
from univs.mask_decoder.separation import SelfAttention
from univs.model import UniVS
from univs.object_decoding import FrameBefore, ObjectDecodeOptions, ObjectPrediction, decode_objects
from univs.prompt_encoder.regions import Canvas
from univs.prompt_encoder.sampling import CellChoice
from univs.prompt_encoder.tokens import ObjectTokens, VisualTokens, join_tokens, stack_tokens
from univs.prompt_encoder.visual import SamplerOptions, sample_masks, sample_prompts
from univs.training.text_answers import AbsentAnswer, answer_texts, told_or_shown
from univs.training.texts import TextPrompts
from univs.types import ClipFeatures, ClipWords, MaskPrompt, VisualPrompt


@dataclass(frozen=True, slots=True)
class RolloutConfig:
    """How a clip is run in training.

    Attributes:
        teacher_probability: how often a frame is remembered by its true masks instead of the predicted ones.
        correction_probability: how often the first frame's points, boxes and scribbles are followed by a click on the
            largest error, and decoded again.
        forget_prior_probability: how often an object's previous mask is withheld, so that the memory must suffice.
        choice: which cells become tokens.
        with_auxiliary: supervise earlier layers too.
    """

    teacher_probability: float = 0.4
    correction_probability: float = 0.3
    forget_prior_probability: float = 0.1
    choice: CellChoice = CellChoice.RANDOM
    with_auxiliary: bool = True

    def __post_init__(self) -> None:
        chances = (self.teacher_probability, self.correction_probability, self.forget_prior_probability)
        if not all(0 <= chance <= 1 for chance in chances):
            raise ValueError(f"probabilities must lie in 0..1, got {chances}")


@dataclass(frozen=True, slots=True)
class Rollout:
    """What the network said along a clip."""

    features: ClipFeatures  # of all frames
    first: tuple[ObjectPrediction, ...]  # answers in the first frame: to the prompts, then to the corrections
    later: tuple[ObjectPrediction, ...]  # one for each frame after the first
    absent: AbsentAnswer | None = None  # to texts that name nothing in the clip


def roll_out(
    model: UniVS,
    batch: Batch,
    config: RolloutConfig,
    rng: np.random.Generator,
    texts: TextPrompts | None = None,
    words: ClipWords | None = None,
) -> Rollout:
    """Run a batch of clips through the network, frame after frame.

    Args:
        model: the network, in training mode.
        batch: B clips of T frames with O object slots.
        config: how.
        rng: draws what is remembered and corrected. Cells of tokens are drawn by torch's global generator.
        texts: objects that are asked for by text in the first frame, in place of their visual prompts.
        words: what the frames are looked at with, by networks that listen.
    """
    features = model.encode_frames(batch.images, batch.frame_indices, words)
    run = _Run.of(model, batch, config)
    here = frame_of(features, 0)
    told = None if texts is None else answer_texts(model, here, texts, with_auxiliary=config.with_auxiliary)
    first = [told_or_shown(told, run.answer_prompts(here, batch.prompts))]
    if rng.random() < config.correction_probability:
        first.append(told_or_shown(told, run.answer_prompts(here, _corrected(batch, first[0], rng))))
    masks = run.remembered(first[-1], 0, rng)
    memory = [run.tokens(here, _given_masks(batch, masks, None if told is None else told.is_told))]
    prior = run.prior(masks)
    later: list[ObjectPrediction] = []
    keys = model.look_back_keys(here)
    for position in range(1, batch.images.shape[1]):
        here = frame_of(features, position)
        kept = torch.from_numpy(rng.random(batch.is_padding.shape) >= config.forget_prior_probability)
        prediction = run.decode(here, join_frames(memory), prior * kept.to(prior)[..., None, None], keys)
        later.append(prediction)
        masks = run.remembered(prediction, position, rng)
        recent = [*memory[1:], run.tokens(here, masks)]
        memory = [memory[0], *recent[-model.config.memory.num_frames :]]
        prior, keys = run.prior(masks), model.look_back_keys(here)
    return Rollout(features, tuple(first), tuple(later), None if told is None else told.absent)


def frame_of(features: ClipFeatures, position: int) -> ClipFeatures:
    """Take one frame of a clip: T = 1."""
    here = slice(position, position + 1)
    return ClipFeatures(
        levels=tuple(level[:, here] for level in features.levels),
        mask_features=features.mask_features[:, here],
        frame_indices=features.frame_indices[:, here],
        padded_size=features.padded_size,
    )


def join_frames(frames: Sequence[ObjectTokens]) -> ObjectTokens:
    """Line up tokens of several frames, [B, O, 1, R] each, as a memory: [B, O, P, R]."""
    return ObjectTokens(
        join_tokens([tokens.foreground for tokens in frames], dim=2),
        join_tokens([tokens.background for tokens in frames], dim=2),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """What stays the same along a clip."""

    model: UniVS
    batch: Batch
    config: RolloutConfig
    canvas: Canvas
    sampler: SamplerOptions

    @classmethod
    def of(cls, model: UniVS, batch: Batch, config: RolloutConfig) -> "_Run":
        height, width = batch.images.shape[-2:]
        if height % 32 or width % 32:
            raise ValueError(f"training clips must be multiples of 32 pixels, got {height} x {width}")
        num_tokens = model.config.memory.tokens_per_frame
        num_background = num_tokens if model.config.memory.dense_readout else 0
        return cls(
            model,
            batch,
            config,
            Canvas((height, width), (height, width), (height // 8, width // 8)),
            SamplerOptions(num_tokens, num_background, config.choice),
        )

    def answer_prompts(
        self, here: ClipFeatures, prompts: Sequence[Sequence[VisualPrompt | tuple[VisualPrompt, ...]]]
    ) -> ObjectPrediction:
        """Decode the first frame from its prompts alone."""
        num_slots = self.batch.is_padding.shape[1]
        level = here.levels[-1]
        videos, priors = [], level.new_zeros(len(prompts), num_slots, *self.canvas.grid)
        for video, of_objects in enumerate(prompts):
            rows = []
            for slot, said in enumerate(of_objects):
                group = said if isinstance(said, tuple) else (said,)
                index = int(here.frame_indices[video, 0])
                rows.append(sample_prompts(level[video, 0], index, group, self.canvas, self.sampler))
                priors[video, slot] = prompt_prior(group, self.canvas, level.device)
            blank = self._blank(here)
            rows.extend(blank for _ in range(num_slots - len(rows)))
            videos.append(_stack(rows))
        return self.decode(here, _stack(videos), priors)

    def decode(
        self, here: ClipFeatures, memory: ObjectTokens, prior: Tensor, keys_before: Tensor | None = None
    ) -> ObjectPrediction:
        """Decode one frame from a memory."""
        options = ObjectDecodeOptions(self_attention=SelfAttention.BLOCKED, with_auxiliary=self.config.with_auxiliary)
        before = None if keys_before is None else FrameBefore(keys_before)
        return decode_objects(self.model, here, memory, prior, self.batch.is_padding, options, before)

    def tokens(self, here: ClipFeatures, masks: Tensor) -> ObjectTokens:
        """Take tokens of one frame by masks bool [B, O, H, W]."""
        return sample_masks(here.levels[-1][:, 0], masks, here.frame_indices[:, 0], self.sampler)

    def remembered(self, prediction: ObjectPrediction, position: int, rng: np.random.Generator) -> Tensor:
        """Choose the masks by which a frame is remembered, true or predicted for each video: bool [B, O, H, W]."""
        truth = self.batch.masks[:, :, position]
        logits = prediction.mask_logits[:, :, 0].detach().float()
        drawn = functional.interpolate(logits, size=truth.shape[-2:], mode="bilinear", align_corners=False) > 0
        is_taught = torch.from_numpy(rng.random(len(truth)) < self.config.teacher_probability).to(truth.device)
        is_taught = is_taught[:, None, None, None]
        if position == 0:  # an object of which nothing is remembered teaches nothing
            is_taught = is_taught | ~drawn.flatten(2).any(dim=-1)[..., None, None]
        masks = torch.where(is_taught, truth, drawn)
        return masks & ~self.batch.is_padding[:, :, None, None]

    def prior(self, masks: Tensor) -> Tensor:
        """Bring masks to the 1/8 map, as what each cell is believed to be: [B, O, h, w] in [0, 1]."""
        return functional.adaptive_avg_pool2d(masks.to(torch.float32), self.canvas.grid)

    def _blank(self, here: ClipFeatures) -> ObjectTokens:
        """Give the tokens of a slot without an object: padding."""
        level = here.levels[-1][:1, 0]
        nothing = torch.zeros(1, 1, *self.canvas.grid, dtype=torch.bool, device=level.device)
        tokens = sample_masks(level, nothing, here.frame_indices[:1, 0], self.sampler)
        return ObjectTokens(_squeezed(tokens.foreground), _squeezed(tokens.background))


def _corrected(
    batch: Batch, answer: ObjectPrediction, rng: np.random.Generator
) -> list[list[tuple[VisualPrompt, ...]]]:
    """Add to each prompt a click on the largest error of its answer; masks are taken at their word."""
    logits = answer.mask_logits[:, :, 0].detach().float()
    size = (batch.masks.shape[-2], batch.masks.shape[-1])
    drawn = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False) > 0
    corrected: list[list[tuple[VisualPrompt, ...]]] = []
    for video, of_objects in enumerate(batch.prompts):
        corrected.append([])
        for slot, prompt in enumerate(of_objects):
            click = None
            if not isinstance(prompt, MaskPrompt):
                truth = batch.masks[video, slot, 0]
                click = simulate_correction(
                    rng, drawn[video, slot], truth, object_id=slot, frame_index=prompt.frame_index
                )
            corrected[-1].append((prompt,) if click is None else (prompt, click))
    return corrected


def _given_masks(batch: Batch, masks: Tensor, is_told: Tensor | None) -> Tensor:
    """Put the masks that prompts gave in place of the remembered ones, but for objects prompted by text."""
    masks = masks.clone()
    for video, of_objects in enumerate(batch.prompts):
        for slot, prompt in enumerate(of_objects):
            is_shown = is_told is None or not bool(is_told[video, slot])
            if isinstance(prompt, MaskPrompt) and is_shown:
                masks[video, slot] = prompt.mask.to(masks.device)
    return masks


def _stack(parts: Sequence[ObjectTokens]) -> ObjectTokens:
    """Stack tokens along a new first axis."""
    return ObjectTokens(
        stack_tokens([part.foreground for part in parts]),
        stack_tokens([part.background for part in parts]),
    )


def _squeezed(tokens: VisualTokens) -> VisualTokens:
    """Drop the axes of videos and objects: [1, 1, 1, R] -> [1, R]."""
    return VisualTokens(
        tokens.features[0, 0],
        tokens.cells[0, 0],
        tokens.frame_indices[0, 0],
        tokens.source_indices[0, 0],
        tokens.grid_size,
    )
