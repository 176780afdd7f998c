"""The memory of one session: tokens of each object in its first frame and in the last few.

An object has P = 1 + M slots of one fixed size, however long its video is: slot 0 is its first appearance, the others
are a ring of the last M frames written. Bytes of one object, with R tokens on it and R' around it in each frame:

    (1 + M) * ((R + R') * (C * size_of(dtype) + 4) + 16)

that is features, a 4-byte cell for each token, and two frame numbers for each slot. The snapshot holds the same arrays
in the same dtype, so a restored pool is the same pool. Source: UniVS, section on the prompt memory.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import safetensors
import torch
from safetensors.torch import load, save
from torch import Tensor

from univs.errors import SnapshotError, UnknownObjectError
from univs.prompt_encoder.tokens import PADDING, ObjectTokens, VisualTokens

_FORMAT = "univs-memory-pool-1"
_NOTHING = -1
_FIRST = 0


@dataclass(frozen=True, slots=True)
class PoolShape:
    """The sizes of a pool, the same for all of its objects."""

    num_frames: int  # M, the ring beside the first appearance
    num_foreground: int  # R
    num_background: int  # R'
    channels: int
    grid_size: tuple[int, int]  # (rows, columns) of the stride-8 map

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.num_foreground < 1 or self.num_background < 0:
            raise ValueError(
                "a pool needs num_frames >= 1, num_foreground >= 1 and num_background >= 0, "
                f"got {self.num_frames}, {self.num_foreground} and {self.num_background}"
            )

    def bytes_per_object(self, dtype: torch.dtype) -> int:
        """Evaluate the formula at the top of this file."""
        tokens = self.num_foreground + self.num_background
        return (1 + self.num_frames) * (tokens * (self.channels * dtype.itemsize + 4) + 16)


@dataclass(frozen=True, slots=True)
class _Slots:
    """The memory of one object; foreground tokens lie before background tokens."""

    features: Tensor  # [P, R + R', C]
    cells: Tensor  # int32 [P, R + R']
    frame_indices: Tensor  # int64 [P]
    source_indices: Tensor  # int64 [P]


class MemoryPool:
    """Prompt tokens of the objects of one video; write, read, forget."""

    def __init__(
        self, shape: PoolShape, dtype: torch.dtype = torch.float16, device: torch.device | str = "cpu"
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.device = torch.device(device)
        self._slots: dict[int, _Slots] = {}

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Name the objects in the order in which they came."""
        return tuple(self._slots)

    @property
    def num_bytes(self) -> int:
        """Count the bytes of all tensors held."""
        return sum(
            tensor.numel() * tensor.itemsize
            for slots in self._slots.values()
            for tensor in (slots.features, slots.cells, slots.frame_indices, slots.source_indices)
        )

    def write_first(self, object_id: int, tokens: ObjectTokens) -> None:
        """Set the first appearance of an object; a later call (a refinement) replaces it and leaves the ring alone."""
        if object_id not in self._slots:
            self._slots[object_id] = self._blank()
        self._store(self._slots[object_id], _FIRST, tokens)

    def write(self, object_id: int, tokens: ObjectTokens) -> None:
        """Remember one more frame of an object: over the same frame if it is there, or else over the oldest.

        Args:
            object_id: must have a first appearance.
            tokens: [1, R, C] of one frame, foreground and background.
        Raises:
            UnknownObjectError: for an id never written or already forgotten.
        """
        slots = self._find(object_id)
        ring = slots.frame_indices[1:]
        frame_index = int(tokens.foreground.frame_indices)
        same = (ring == frame_index).nonzero()
        slot = int(same[0]) if len(same) else int(ring.argmin())  # empty is -1, older than any frame
        self._store(slots, 1 + slot, tokens)

    def newest(self, object_id: int) -> ObjectTokens | None:
        """Recall the tokens of the newest frame that shows an object: [1, R] and [1, R']; None when none does.

        Raises:
            UnknownObjectError: for an id never written or already forgotten.
        """
        slots = self._find(object_id)
        num_foreground = self.shape.num_foreground
        is_seen = (slots.cells[:, :num_foreground] != PADDING).any(dim=1)
        if not bool(is_seen.any()):
            return None
        newest = [int(torch.where(is_seen, slots.frame_indices, _NOTHING).argmax())]  # a list, so that it is a copy

        def of(tokens: slice) -> VisualTokens:
            return VisualTokens(
                slots.features[newest][:, tokens],
                slots.cells[newest][:, tokens].long(),
                slots.frame_indices[newest],
                slots.source_indices[newest],
                self.shape.grid_size,
            )

        return ObjectTokens(of(slice(0, num_foreground)), of(slice(num_foreground, None)))

    def holds(self, object_id: int, frame_index: int) -> bool:
        """Tell whether a frame of an object is among those remembered last.

        Raises:
            UnknownObjectError: for an id never written or already forgotten.
        """
        return bool((self._find(object_id).frame_indices[1:] == frame_index).any())

    def read(self, object_ids: Sequence[int], dtype: torch.dtype = torch.float32) -> ObjectTokens:
        """Recall the tokens of objects: the first appearance, then the remembered frames, oldest first.

        Args:
            object_ids: O ids, each written before.
            dtype: of the features given back.
        Returns:
            Tokens [O, P, R, C] and [O, P, R', C]; empty slots come last and are padding.
        Raises:
            UnknownObjectError: for an id never written or already forgotten.
        """
        shape = self.shape
        chosen = [self._in_order(self._find(object_id)) for object_id in object_ids] or [self._blank()]
        count = len(object_ids)
        features = torch.stack([slots.features for slots in chosen])[:count].to(dtype)
        cells = torch.stack([slots.cells for slots in chosen])[:count].long()
        frame_indices = torch.stack([slots.frame_indices for slots in chosen])[:count]
        source_indices = torch.stack([slots.source_indices for slots in chosen])[:count]
        split = [shape.num_foreground, shape.num_background]
        foreground, background = (
            VisualTokens(part, places, frame_indices, source_indices, shape.grid_size)
            for part, places in zip(torch.split(features, split, dim=2), torch.split(cells, split, dim=2), strict=True)
        )
        return ObjectTokens(foreground, background)

    def forget(self, object_id: int) -> None:
        """Drop an object and its bytes.

        Raises:
            UnknownObjectError: for an id never written or already forgotten.
        """
        self._find(object_id)
        del self._slots[object_id]

    def to_bytes(self) -> bytes:
        """Give the whole pool as one safetensors blob; equal pools give equal bytes."""
        tensors: dict[str, Tensor] = {}
        for number, slots in enumerate(self._slots.values()):
            tensors[f"{number}.features"] = slots.features
            tensors[f"{number}.cells"] = slots.cells
            tensors[f"{number}.frame_indices"] = slots.frame_indices
            tensors[f"{number}.source_indices"] = slots.source_indices
        shape = self.shape
        described = json.dumps(
            {
                "format": _FORMAT,
                "num_frames": shape.num_frames,
                "num_foreground": shape.num_foreground,
                "num_background": shape.num_background,
                "channels": shape.channels,
                "grid_size": shape.grid_size,
                "dtype": str(self.dtype).removeprefix("torch."),
                "object_ids": self.object_ids,
            }
        )
        header = torch.frombuffer(bytearray(described.encode()), dtype=torch.uint8)
        return save({"header": header, **tensors})

    @classmethod
    def from_bytes(cls, blob: bytes, device: torch.device | str = "cpu") -> "MemoryPool":
        """Restore a pool.

        Raises:
            SnapshotError: for bytes that are no pool of this format, or a pool that contradicts itself.
        """
        try:
            tensors = load(blob)
            described = json.loads(bytes(tensors.pop("header").tolist()))
            if described["format"] != _FORMAT:
                raise SnapshotError(f"expected a memory pool of format {_FORMAT}, got {described['format']}")
            shape = PoolShape(
                described["num_frames"],
                described["num_foreground"],
                described["num_background"],
                described["channels"],
                (described["grid_size"][0], described["grid_size"][1]),
            )
            dtype = getattr(torch, described["dtype"])
            pool = cls(shape, dtype, device)
            for number, object_id in enumerate(described["object_ids"]):
                names = ("features", "cells", "frame_indices", "source_indices")
                found = _Slots(*(tensors[f"{number}.{name}"].to(device) for name in names))
                pool._slots[int(object_id)] = found
        except (safetensors.SafetensorError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise SnapshotError(
                f"expected the bytes of a memory pool, got {len(blob)} bytes that are not ({error}); "
                "the session has to start from its first frame"
            ) from error
        expected = pool._blank()
        for slots in pool._slots.values():
            if slots.features.dtype != dtype or any(
                getattr(slots, name).shape != getattr(expected, name).shape for name in names
            ):
                raise SnapshotError(
                    f"expected slots of {shape} in {dtype}, got features {tuple(slots.features.shape)} in "
                    f"{slots.features.dtype}; the session has to start from its first frame"
                )
        return pool

    def _blank(self) -> _Slots:
        shape = self.shape
        num_slots, num_tokens = 1 + shape.num_frames, shape.num_foreground + shape.num_background
        return _Slots(
            torch.zeros(num_slots, num_tokens, shape.channels, dtype=self.dtype, device=self.device),
            torch.full((num_slots, num_tokens), PADDING, dtype=torch.int32, device=self.device),
            torch.full((num_slots,), _NOTHING, dtype=torch.int64, device=self.device),
            torch.full((num_slots,), _NOTHING, dtype=torch.int64, device=self.device),
        )

    def _find(self, object_id: int) -> _Slots:
        if object_id not in self._slots:
            raise UnknownObjectError(
                f"expected one of the objects {list(self._slots)}, got {object_id}; "
                "give it a prompt first, or see whether it was removed"
            )
        return self._slots[object_id]

    def _store(self, slots: _Slots, slot: int, tokens: ObjectTokens) -> None:
        foreground, background = tokens.foreground, tokens.background
        assert foreground.grid_size == self.shape.grid_size
        assert foreground.features.shape[-2] == self.shape.num_foreground
        assert background.features.shape[-2] == self.shape.num_background
        features = torch.cat([foreground.features, background.features], dim=-2)
        cells = torch.cat([foreground.cells, background.cells], dim=-1)
        slots.features[slot] = features.detach().reshape(slots.features.shape[1:]).to(self.dtype)
        slots.cells[slot] = cells.reshape(-1).to(torch.int32)
        slots.frame_indices[slot] = foreground.frame_indices.reshape(())
        slots.source_indices[slot] = foreground.source_indices.reshape(())

    @staticmethod
    def _in_order(slots: _Slots) -> _Slots:
        """Put the ring in the order of its frames, empty slots last."""
        ring = slots.frame_indices[1:]
        latest = torch.iinfo(torch.int64).max
        order = torch.argsort(torch.where(ring == _NOTHING, latest, ring), stable=True)
        order = torch.cat([order.new_zeros(1), 1 + order])
        return _Slots(
            slots.features[order], slots.cells[order], slots.frame_indices[order], slots.source_indices[order]
        )
