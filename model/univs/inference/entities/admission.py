"""From detections to entities: which are followed already, which are new, and how a new one begins.

Source: SPEC section 9, "Detection" and below.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from univs.inference.entities.detection import Detections
from univs.inference.entities.entity import Entity
from univs.inference.entities.matching import Pair, pairs, similarities
from univs.inference.entities.options import ClassMemory, DetectionOptions, EntityOptions
from univs.inference.entities.suppression import mask_overlaps
from univs.inference.framing import Framing
from univs.inference.options import Judge
from univs.inference.tracks import Track
from univs.inference.video_memory import VideoMemory
from univs.types import ClipFeatures

_RECENT = 3  # windows whose looks a detection is compared with
_PRIOR_DTYPE = torch.float16


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is the same for all detections of a window."""

    time_s: float  # of the last frame of the window
    features: ClipFeatures
    memory: VideoMemory
    framing: Framing
    options: EntityOptions
    num_windows: int  # before this one
    num_left: int  # frames that have left the windows and are not answered yet
    num_slots: int  # windows whose category scores are remembered, without this one

    def recognise(self, entities: Sequence[Entity], found: Detections) -> list[Pair]:
        """Find the detections that are entities already, and let these take them in.

        Returns:
            Pairs whose detection gave its mask, or would have: they cannot be new.
        """
        detection = self.options.detection
        looks = torch.stack([self._recent(entity) for entity in entities])
        same = []
        for pair in pairs(similarities(looks, found.embeddings), detection.similarity):
            is_sure = pair.similarity > detection.merge_similarity
            self._take_in(entities[pair.entity_row], found, pair.detection_row, with_mask=is_sure)
            if is_sure:
                same.append(pair)
        return same

    def new_rows(
        self, entities: Sequence[Entity], found: Detections, same: Sequence[Pair], *, is_first: bool
    ) -> list[int]:
        """Give the rows of detections that are new: believed, no entity yet, and not where one is."""
        detection = self.options.detection
        minimum = detection.first_score if is_first else detection.later_score
        is_new = found.best > minimum
        is_new[[pair.detection_row for pair in same]] = False
        rows: list[int] = is_new.nonzero()[:, 0].tolist()
        if rows and entities:
            stored = torch.cat([self._shrunken(entity.window_logits) for entity in entities])
            overlaps = mask_overlaps(found.mask_logits[rows] > 0, stored > 0).amax(dim=(1, 2))
            rows = [
                row for row, overlap in zip(rows, overlaps.tolist(), strict=True) if overlap < detection.new_overlap
            ]
        return _best(found, rows, detection, len(entities))

    def begin(self, object_id: int, found: Detections, row: int) -> Entity:
        """Begin to follow a detection."""
        frame_indices = self.features.frame_indices[0].tolist()
        is_alone = self.options.inference.judge is Judge.PRESENCE
        embedding = found.embeddings[row].mean(dim=0)
        pool = self.memory.pool
        dtype = torch.float32 if self.options.inference.half_precision_memory else embedding.dtype
        looks = torch.zeros(self._num_looks, pool.shape.channels, dtype=dtype, device=embedding.device)
        looks[-1] = embedding
        logits = self._enlarged(found.mask_logits[row])
        track = Track(
            object_id, looks, self._prior(logits[-1]), first_frame=frame_indices[0], prompted_frame=frame_indices[0]
        )
        track.logits = logits
        track.presence, track.score = 1.0, float(found.qualities[row])
        track.is_visible, track.last_seen, track.last_seen_s = True, frame_indices[-1], self.time_s
        following, num_before = self.options.following, self.num_slots
        is_by_window = following.class_memory is ClassMemory.WINDOWS
        if not is_by_window:
            num_before = following.num_detections - 1
        scores = found.scores[row][None]
        entity = Entity(
            track,
            class_slots=torch.cat([scores.new_zeros(num_before, scores.shape[1]), scores]),
            num_scored=num_before + 1 if is_by_window else 1,
            left=logits.new_zeros(self.num_left, *logits.shape[1:]),
        )
        entity.believe(float(found.qualities[row]))
        if is_alone:
            self.memory.write_mask(object_id, self.features, logits[-1] > 0)
        else:
            self.memory.write_blank(object_id, frame_indices[0], frame_indices[-1])
        return entity

    @property
    def _num_looks(self) -> int:
        """Say how many embeddings of an entity are kept: one for each frame alone, or one for each window."""
        inference, num_frames = self.options.inference, self.memory.pool.shape.num_frames
        if inference.judge is Judge.PRESENCE:
            return num_frames
        return max(num_frames // inference.clip_stride, _RECENT)

    def _recent(self, entity: Entity) -> Tensor:
        """Give the looks a detection is compared with: [V, C], the same V for all."""
        rows = entity.track.embeddings
        if self.options.inference.judge is Judge.PRESENCE:  # frames that do not show it say nothing
            is_seen = (rows != 0).any(dim=1)
            return rows.sum(dim=0, keepdim=True) / is_seen.sum().clamp(min=1)
        return rows[-min(_RECENT, self.num_windows + 1) :]

    def _take_in(self, entity: Entity, found: Detections, row: int, *, with_mask: bool) -> None:
        embedding = found.embeddings[row].mean(dim=0)
        if self.options.following.class_memory is ClassMemory.WINDOWS:
            entity.score_window(found.scores[row])
        else:
            entity.score_detection(found.scores[row])
        if self.options.inference.judge is Judge.PRESENCE:
            if with_mask and not entity.track.is_visible:
                self._find_again(entity, found, row)
            return
        if with_mask:
            last_frame = int(self.features.frame_indices[0, -1])
            entity.add(self._enlarged(found.mask_logits[row]), embedding, float(found.qualities[row]), last_frame)
        else:
            entity.look_like(embedding)

    def _find_again(self, entity: Entity, found: Detections, row: int) -> None:
        """Let an entity that was out of sight take the mask of a detection."""
        logits, track = found.mask_logits[row], entity.track
        track.logits = logits
        track.embeddings = torch.cat([track.embeddings[:-1], found.embeddings[row, -1:].to(track.embeddings.dtype)])
        track.presence, track.score = 1.0, float(found.qualities[row])
        self.memory.write_mask(entity.object_id, self.features, logits[-1] > 0)
        track.show(int(self.features.frame_indices[0, -1]), self._prior(logits[-1]), is_visible=True)
        track.last_seen_s = self.time_s
        entity.believe(float(found.qualities[row]))

    def _enlarged(self, logits: Tensor) -> Tensor:
        """Bring masks to the size in which entities are stored: alone at stride 4, together at the padded size."""
        if self.options.inference.judge is Judge.PRESENCE:
            return logits
        return functional.interpolate(logits[None], size=self.framing.padded, mode="bilinear", align_corners=False)[0]

    def _shrunken(self, logits: Tensor) -> Tensor:
        """Bring stored masks back to stride 4: [T, h, w] -> [1, T, H/4, W/4]."""
        size = self.features.mask_features.shape[-2:]
        return functional.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)

    def _prior(self, logits: Tensor) -> Tensor:
        covered = functional.adaptive_avg_pool2d((logits > 0).to(logits.dtype)[None], self.memory.canvas.grid)[0]
        return covered.to(_PRIOR_DTYPE)


def _best(found: Detections, rows: list[int], options: DetectionOptions, num_entities: int) -> list[int]:
    """Leave out the least likely of those for which there is no room, and keep the order."""
    room = max(0, options.max_entities - num_entities)
    if len(rows) <= room:
        return rows
    best = found.best[rows].argsort(descending=True, stable=True)[:room].tolist()
    return [rows[place] for place in sorted(best)]
