"""The memory pool of one video, with all that decides on the sizes and the choice of its tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from univs.inference.framing import Framing
from univs.inference.memory_writing import blank_tokens, for_frame, take_row
from univs.inference.options import InferenceOptions
from univs.inference.tracks import Track
from univs.memory_pool import MemoryPool, PoolShape
from univs.model import UniVS
from univs.prompt_encoder.regions import Canvas
from univs.prompt_encoder.visual import SamplerOptions, sample_masks
from univs.types import ClipFeatures


@dataclass(frozen=True, slots=True)
class VideoMemory:
    """A pool, and what is the same for all tokens that are written into it."""

    pool: MemoryPool
    canvas: Canvas
    sampler: SamplerOptions

    @classmethod
    def open(cls, model: UniVS, options: InferenceOptions, framing: Framing) -> "VideoMemory":
        """Open an empty memory for a video.

        Args:
            model: the network.
            options: how many frames and tokens, in which precision.
            framing: sizes of the video.
        """
        memory = model.config.memory
        grid = (framing.padded[0] // 8, framing.padded[1] // 8)
        num_tokens = options.tokens_per_frame or memory.tokens_per_frame
        num_background = num_tokens if memory.dense_readout else 0
        num_frames = max(options.memory_frames or memory.num_frames, options.clip_length)
        dtype = torch.float16 if options.half_precision_memory else model.mask_decoder.query_content.dtype
        shape = PoolShape(num_frames, num_tokens, num_background, model.config.hidden_dim, grid)
        return cls(
            MemoryPool(shape, dtype, model.device),
            Canvas(content_px=framing.resized, padded_px=framing.padded, grid=grid),
            SamplerOptions(num_tokens, num_background, options.cell_choice),
        )

    def write_blank(self, object_id: int, first_frame: int, last_frame: int) -> None:
        """Begin the memory of an object with nothing.

        Args:
            object_id: a new one.
            first_frame: where it appears.
            last_frame: there is no token in the frames up to this one.
        """
        self.pool.write_first(object_id, blank_tokens(self.pool, first_frame))
        for index in range(max(0, last_frame - self.pool.shape.num_frames + 1), last_frame + 1):
            self.pool.write(object_id, blank_tokens(self.pool, index))

    def write_mask(self, object_id: int, features: ClipFeatures, mask: Tensor) -> None:
        """Remember a mask of the last frame of a window, bool [H, W]; the first one is the first appearance."""
        level, index = features.levels[-1][:, -1], features.frame_indices[:, -1]
        tokens = take_row(sample_masks(level, mask[None, None], index, self.sampler), 0)
        write = self.pool.write if object_id in self.pool.object_ids else self.pool.write_first
        write(object_id, tokens)

    def write_late(self, features: ClipFeatures, tracks: Sequence[Track], masks: Tensor, first_frame: int) -> None:
        """Write tokens for frames just before a window from their masks, on the features of the window.

        As published: mask of one frame, pixels of another. Objects that begin with one of the frames get their first
        appearance from it.

        Args:
            features: of the window.
            tracks: objects.
            masks: bool [O, F, H, W] of the F frames before the window.
            first_frame: of the window.
        """
        num_frames = masks.shape[1]
        for position in range(num_frames):
            frame_index = first_frame - num_frames + position
            sources = features.frame_indices[:, position]
            tokens = sample_masks(features.levels[-1][:, position], masks[None, :, position], sources, self.sampler)
            for row, track in enumerate(tracks):
                if bool(masks[row, position].any()):
                    own = for_frame(take_row(tokens, row), frame_index)
                    self.pool.write(track.object_id, own)
                    if track.first_frame == frame_index:
                        self.pool.write_first(track.object_id, own)
