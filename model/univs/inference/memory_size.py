"""How many bytes a video takes: the formula of `docs/memory.md`, from sizes alone.

It is worked out without a segmenter, so that a session can be judged before it is admitted, and so that
`VideoSegmenter.num_bytes`, which counts the tensors themselves, has something to be compared with.
"""

from dataclasses import dataclass

from univs.config import UniVSConfig
from univs.inference.framing import Framing
from univs.inference.options import InferenceOptions, Judge

_FLOAT16, _FLOAT32 = 2, 4
_CELL, _SLOT = 4, 16  # bytes: the cell of a token; the two frame numbers of a slot
_FEATURE_STRIDES = (32, 16, 8, 4)


@dataclass(frozen=True, slots=True)
class MemorySize:
    """Bytes that a segmenter keeps between two steps, once its window is full."""

    pool_bytes: int  # tokens of one object
    track_bytes: int  # its embeddings, its newest mask, its logits in an open window
    frame_bytes: int  # features of the frames in an open window and keys of the frame before, for all objects together

    @classmethod
    def of(cls, config: UniVSConfig, options: InferenceOptions, framing: Framing) -> "MemorySize":
        """Evaluate the formula.

        Args:
            config: of the network, which computes in float32.
            options: how it is run.
            framing: sizes of the video.
        """
        memory, channels = config.memory, config.hidden_dim
        height, width = framing.padded
        num_frames = max(options.memory_frames or memory.num_frames, options.clip_length)
        tokens = options.tokens_per_frame or memory.tokens_per_frame
        tokens_with_background = 2 * tokens if memory.dense_readout else tokens
        precision = _FLOAT16 if options.half_precision_memory else _FLOAT32
        num_open = options.clip_length - options.clip_stride
        logits = num_open * height * width * _FLOAT32 if options.judge is Judge.COMPETITION else 0
        keys = (height // 8) * (width // 8) * memory.look_back_dim * precision if _looks_back(config, options) else 0
        cells = sum((height // stride) * (width // stride) for stride in _FEATURE_STRIDES)
        return cls(
            pool_bytes=(1 + num_frames) * (tokens_with_background * (channels * precision + _CELL) + _SLOT),
            track_bytes=_FLOAT32 * num_frames * channels + _FLOAT16 * (height // 8) * (width // 8) + logits,
            frame_bytes=num_open * channels * cells * _FLOAT32 + keys,
        )

    @property
    def object_bytes(self) -> int:
        """Bytes of one object, however long its video is."""
        return self.pool_bytes + self.track_bytes

    def session_bytes(self, num_objects: int) -> int:
        """Bytes of a session that follows at least one object."""
        return self.frame_bytes + num_objects * self.object_bytes


def _looks_back(config: UniVSConfig, options: InferenceOptions) -> bool:
    return config.memory.look_back_radius > 0 and options.judge is Judge.PRESENCE
