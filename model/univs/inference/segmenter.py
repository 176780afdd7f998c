"""One video on its way through the network: prompts and frames in, masks out, memory of a fixed size per object.

`VideoSegmenter` holds the state of a video; the network holds none. A step reads as the paper's streaming process:
introduce what was prompted, recall what is remembered, decode, judge, remember, answer.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from univs.errors import PromptError, SnapshotError, UnknownObjectError, UnsupportedPromptError
from univs.inference.answers import mask_result
from univs.inference.framing import Framing
from univs.inference.options import InferenceOptions, Isolation, paper
from univs.inference.prompting import check_prompt, given_mask, prompt_prior
from univs.inference.quality import consistency, stability
from univs.inference.tracks import Track
from univs.mask_decoder.separation import SelfAttention
from univs.memory_pool import MemoryPool, PoolShape
from univs.model import UniVS
from univs.object_decoding import ObjectDecodeOptions, ObjectPrediction, decode_objects
from univs.prompt_encoder.regions import Canvas
from univs.prompt_encoder.tokens import ObjectTokens, VisualTokens
from univs.prompt_encoder.visual import SamplerOptions, sample_masks, sample_prompts
from univs.types import (
    CategoryPrompt,
    Clip,
    ClipFeatures,
    Frame,
    FrameResult,
    MaskPrompt,
    MaskResult,
    Prompt,
    TextPrompt,
    VisualPrompt,
)

_POOL_DTYPE = torch.float16


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What is made of the decoder's answer for one object."""

    mask: Tensor  # bool [H, W] at the size of the frame
    coarse: Tensor  # bool [H/4, W/4] on the padded picture
    prior: Tensor  # [h, w] in [0, 1]
    score: float
    presence: float
    quality: float
    is_visible: bool


class VideoSegmenter:
    """Segment one video, frame after frame.

    Args:
        model: the network, in evaluation mode; many segmenters may share it.
        options: how it is run; our own semantics when left out.
        frame_size: (height, width) of every frame, in pixels.
    """

    def __init__(self, model: UniVS, options: InferenceOptions | None, frame_size: tuple[int, int]) -> None:
        self.model = model
        self.options = options or paper()
        self.framing = Framing.fit(frame_size, self.options.short_side_px, self.options.long_side_max_px)
        memory = model.config.memory
        padded = self.framing.padded
        grid = (padded[0] // 8, padded[1] // 8)
        num_tokens = self.options.tokens_per_frame or memory.tokens_per_frame
        self._num_remembered = self.options.memory_frames or memory.num_frames
        self._canvas = Canvas(content_px=self.framing.resized, padded_px=padded, grid=grid)
        self._sampler = SamplerOptions(num_tokens, num_tokens if memory.dense_readout else 0)
        shape = PoolShape(self._num_remembered, num_tokens, self._sampler.num_background, model.config.hidden_dim, grid)
        self.pool = MemoryPool(shape, _POOL_DTYPE, model.device)
        self._tracks: dict[int, Track] = {}
        self._pending: dict[int, dict[int, list[VisualPrompt]]] = defaultdict(lambda: defaultdict(list))
        self.next_frame = 0

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Name the objects that are followed, ascending; those prompted for a later frame are not yet."""
        return tuple(sorted(self._tracks))

    @property
    def num_bytes(self) -> int:
        """Count the bytes kept between steps: `docs/memory.md` has the formula."""
        return self.pool.num_bytes + sum(track.num_bytes for track in self._tracks.values())

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Give the records of the objects that are followed, in ascending id."""
        return tuple(self._tracks[object_id] for object_id in self.object_ids)

    def add_prompt(self, prompt: Prompt) -> None:
        """Take a prompt; it counts from its own frame on.

        Raises:
            PromptError: for a frame that has passed: restore an earlier snapshot, or start again from that frame.
            PromptOutOfRangeError: for one that does not lie in the frame.
            UnsupportedPromptError: for a kind that these weights cannot serve.
        """
        match prompt:
            case TextPrompt() | CategoryPrompt():
                raise UnsupportedPromptError(
                    f"expected points, a box, a mask or a scribble, got {type(prompt).__name__}: the weights "
                    f"{self.model.config.name!r} have no text encoder; load weights that name one"
                )
            case _:
                check_prompt(prompt, self.framing.frame)
        if prompt.frame_index < self.next_frame:
            raise PromptError(
                f"expected a prompt for frame {self.next_frame} or later, got frame {prompt.frame_index}, "
                "which has passed; start a new run from that frame"
            )
        self._pending[prompt.frame_index][prompt.object_id].append(prompt)

    def remove_object(self, object_id: int) -> None:
        """Forget an object, its memory and the prompts that wait for it.

        Raises:
            UnknownObjectError: for an object that no prompt named.
        """
        waiting = [prompts for prompts in self._pending.values() if object_id in prompts]
        if object_id not in self._tracks and not waiting:
            raise UnknownObjectError(f"expected one of the objects {list(self.object_ids)}, got {object_id}")
        for prompts in waiting:
            del prompts[object_id]
        if self._tracks.pop(object_id, None) is not None:
            self.pool.forget(object_id)

    @torch.inference_mode()
    def step(self, clip: Clip) -> list[FrameResult]:
        """Segment the next frames, in order.

        Raises:
            ValueError: for frames that are not the next ones, or of another size.
        """
        return [self._step(frame) for frame in clip.frames]

    def skip_to(self, frame_index: int) -> None:
        """Begin at a later frame; only before any object is followed."""
        if self._tracks or frame_index < self.next_frame:
            raise ValueError(f"can only skip forward before the first object, from frame {self.next_frame}")
        self.next_frame = frame_index

    def resume(self, next_frame: int, pool: MemoryPool, tracks: Sequence[Track]) -> None:
        """Take over a state that was saved; `univs.inference.snapshot` is the caller."""
        if pool.shape != self.pool.shape:
            raise SnapshotError(f"expected a memory pool of {self.pool.shape}, got {pool.shape}")
        self.next_frame = next_frame
        self.pool = pool
        self._tracks = {track.object_id: track for track in tracks}

    def _step(self, frame: Frame) -> FrameResult:
        size = (int(frame.image.shape[-2]), int(frame.image.shape[-1]))
        if frame.index != self.next_frame or size != self.framing.frame:
            raise ValueError(
                f"expected frame {self.next_frame} of {self.framing.frame} pixels, got frame {frame.index} of {size}"
            )
        prompts = self._pending.pop(frame.index, {})
        objects: tuple[MaskResult, ...] = ()
        if self._tracks or prompts:
            features = self._encode(frame)
            for object_id, given in prompts.items():
                self._introduce(object_id, given, features)
            ids = self.object_ids
            prediction = self._decode(features, ids)
            judgements = [
                self._judge(self._tracks[object_id], row, prediction, prompts.get(object_id, []))
                for row, object_id in enumerate(ids)
            ]
            self._remember(frame.index, features, ids, prediction, judgements, set(prompts))
            objects = tuple(
                self._answer(self._tracks[object_id], frame.index, judgement)
                for object_id, judgement in zip(ids, judgements, strict=True)
            )
        self.next_frame += 1
        return FrameResult(frame.index, frame.pts, frame.time_base, size, objects)

    def _encode(self, frame: Frame) -> ClipFeatures:
        images = self.framing.shrink(frame.image[None].to(self.model.device))
        return self.model.encode_frames(images[None], torch.tensor([[frame.index]], device=self.model.device))

    def _introduce(self, object_id: int, prompts: list[VisualPrompt], features: ClipFeatures) -> None:
        """Begin to follow an object, or take in a correction of one that is followed."""
        level = features.levels[-1][0, 0]
        frame_index = int(features.frame_indices)
        tokens = sample_prompts(level, frame_index, prompts, self._canvas, self._sampler)
        prior = prompt_prior(prompts, self._canvas, level.device)
        track = self._tracks.get(object_id)
        if track is None:
            self.pool.write_first(object_id, tokens)
            embeddings = torch.zeros(self._num_remembered, self.model.config.hidden_dim, device=level.device)
            track = Track(object_id, embeddings, prior.to(_POOL_DTYPE))
            self._tracks[object_id] = track
        elif any(isinstance(prompt, MaskPrompt) for prompt in prompts):
            self.pool.write_first(object_id, tokens)
            track.prior = prior.to(_POOL_DTYPE)
        else:
            self.pool.write(object_id, tokens)
            track.prior = torch.maximum(track.prior, prior.to(_POOL_DTYPE))
        track.revision += len(prompts)

    def _decode(self, features: ClipFeatures, ids: tuple[int, ...]) -> ObjectPrediction:
        is_strict = self.options.isolation is Isolation.STRICT
        recalled = self.pool.read(ids, dtype=features.mask_features.dtype)
        priors = torch.stack([self._tracks[object_id].prior for object_id in ids])
        return decode_objects(
            self.model,
            features,
            ObjectTokens(_batched(recalled.foreground), _batched(recalled.background)),
            priors[None].to(features.mask_features.dtype),
            options=ObjectDecodeOptions(
                self_attention=SelfAttention.BLOCKED if is_strict else SelfAttention.SEPARATE,
                tile=self.options.object_tile if is_strict else None,
            ),
        )

    def _judge(self, track: Track, row: int, prediction: ObjectPrediction, prompts: list[VisualPrompt]) -> _Judgement:
        """Decide whether the object is in sight, and which pixels are its own."""
        logits = prediction.mask_logits[0, row, 0]
        embedding = prediction.embeddings[0, row]
        quality = float(stability(logits[None]))
        similarity = consistency(list(track.embeddings), embedding)
        presence = max(0.0, similarity)
        if prediction.presence_logits is not None:
            presence = float(prediction.presence_logits[0, row, 0].sigmoid())
        told = given_mask(prompts)
        if told is not None:  # the user's own word is not second-guessed
            told = told.to(logits.device)
            prior = prompt_prior(prompts, self._canvas, logits.device)
            coarse = functional.interpolate(prior[None, None], size=logits.shape, mode="nearest")[0, 0] >= 0.5
            return _Judgement(told, coarse, prior, 1.0, 1.0, 1.0, is_visible=bool(told.any()))
        mask = self.framing.enlarge(logits[None].float())[0] > 0
        is_believed = bool(prompts) or (
            presence >= self.options.presence_threshold and similarity > self.options.consistency_threshold
        )
        is_visible = is_believed and bool(mask.any())
        prior = functional.adaptive_avg_pool2d((logits > 0).to(logits.dtype)[None], self._canvas.grid)[0]
        mask = mask & is_visible
        return _Judgement(mask, logits > 0, prior, presence * quality, presence, quality, is_visible)

    def _remember(
        self,
        frame_index: int,
        features: ClipFeatures,
        ids: tuple[int, ...],
        prediction: ObjectPrediction,
        judgements: list[_Judgement],
        prompted: set[int],
    ) -> None:
        """Write tokens of what was seen, gathered from the frame their mask belongs to."""
        masks = torch.stack([judgement.coarse for judgement in judgements])[None]
        index = features.frame_indices[:, 0]
        tokens = sample_masks(features.levels[-1][:, 0], masks, index, self._sampler)
        for row, (object_id, judgement) in enumerate(zip(ids, judgements, strict=True)):
            track = self._tracks[object_id]
            if not judgement.is_visible:
                track.miss()
                continue
            track.see(frame_index, prediction.embeddings[0, row, 0], judgement.prior)
            own = ObjectTokens(_row(tokens.foreground, row), _row(tokens.background, row))
            if object_id in prompted:
                self.pool.write_first(object_id, own)
            elif judgement.quality >= self.options.minimum_quality:
                self.pool.write(object_id, own)

    def _answer(self, track: Track, frame_index: int, judgement: _Judgement) -> MaskResult:
        return mask_result(
            track,
            frame_index,
            judgement.mask,
            score=judgement.score,
            presence=judgement.presence,
            state=track.state(frame_index, self.options.lost_after_frames),
        )


def _batched(tokens: VisualTokens) -> VisualTokens:
    """Add the axis of videos: [O, P, R] -> [1, O, P, R]."""
    return VisualTokens(
        tokens.features[None],
        tokens.cells[None],
        tokens.frame_indices[None],
        tokens.source_indices[None],
        tokens.grid_size,
    )


def _row(tokens: VisualTokens, row: int) -> VisualTokens:
    """Take one object of the first video: [1, O, P, R] -> [P, R]."""
    return VisualTokens(
        tokens.features[0, row],
        tokens.cells[0, row],
        tokens.frame_indices[0, row],
        tokens.source_indices[0, row],
        tokens.grid_size,
    )
