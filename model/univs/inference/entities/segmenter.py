"""Category-specified segmentation of one video: names and frames in, entities, categories or segments of pixels out.

A window reads as the paper's streaming process: follow the entities that are known, as prompts; every few windows look
for new ones with the learnable queries; answer. Instances, a semantic map and a panoptic map are answers of one stream.
"""

from collections.abc import Iterable
from dataclasses import replace

import torch

from univs.errors import SnapshotError
from univs.inference.answers import mask_result
from univs.inference.entities.admission import Arrival
from univs.inference.entities.detection import Detections, candidates, detect
from univs.inference.entities.entity import Entity
from univs.inference.entities.following import WindowPlace, follow_alone, follow_together
from univs.inference.entities.options import (
    Answer,
    ClassMemory,
    EntityOptions,
    SemanticSource,
    Tracker,
    paper_entities,
)
from univs.inference.entities.panoptic import divide
from univs.inference.entities.query_tracking import follow_queries
from univs.inference.entities.ranking import rank
from univs.inference.entities.semantic import semantic_map
from univs.inference.entities.state import StreamState, WaitingFrame
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.frame_window import FrameWindow
from univs.inference.framing import Framing
from univs.inference.options import Judge
from univs.inference.shared_features import SharedFeatures
from univs.inference.video_memory import VideoMemory
from univs.inference.window import WindowFrame
from univs.inference.words import words_of
from univs.memory_pool import MemoryPool
from univs.model import UniVS
from univs.types import Clip, ClipFeatures, FrameResult, MaskResult, ObjectState, RankedEntity, SegmentMap


class EntitySegmenter:
    """Find and follow everything of some categories in one video.

    Args:
        model: the network, in evaluation mode; many segmenters may share it.
        vocabulary: the categories.
        frame_size: (height, width) of every frame, in pixels.
        answers: what is given for each frame; may be changed while the video runs.
        options: how; our own semantics when left out.

    Attributes:
        reserved_ids: ids that entities do not get, for objects that are not ours; may be changed while the video runs.
    """

    def __init__(
        self,
        model: UniVS,
        vocabulary: EncodedVocabulary,
        frame_size: tuple[int, int],
        answers: Iterable[Answer] = (Answer.INSTANCES,),
        options: EntityOptions | None = None,
    ) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.options = options or paper_entities()
        self.answers = frozenset(answers)
        self.reserved_ids: frozenset[int] = frozenset()
        inference = self.options.inference
        self.framing = Framing.fit(frame_size, inference.short_side_px, inference.long_side_max_px)
        self.memory = VideoMemory.open(model, inference, self.framing)
        self._window = FrameWindow(model, inference, self.framing)
        self.state = StreamState()
        self._found: Detections | None = None  # what the learnable queries said of the window, if they were asked

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Name the entities that are followed, ascending."""
        return tuple(sorted(self.state.entities))

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Give the records of the entities, in ascending id."""
        return tuple(self.state.entities[object_id] for object_id in self.object_ids)

    @property
    def num_bytes(self) -> int:
        """Count the bytes kept between steps: `docs/entities.md` has the formula."""
        return self.memory.pool.num_bytes + sum(entity.num_bytes for entity in self.entities) + self._window.num_bytes

    @torch.inference_mode()
    def step(self, clip: Clip) -> list[FrameResult]:
        """Segment the next frames, in order.

        Returns:
            Results of the frames whose answer is complete; in our semantics of all frames given.
        Raises:
            ValueError: for frames that are not the next ones, or of another size.
        """
        results = []
        for frame in clip.frames:
            self._window.receive(frame)
            if self._window.is_full:
                self._look()
                results += self._leave(self._window.leave())
        return results

    @torch.inference_mode()
    def finish(self) -> list[FrameResult]:
        """End the video: give the results of frames that waited."""
        if len(self._window) > self._window.num_known:
            self._look()
        results = self._leave(self._window.leave(len(self._window)))
        return results + self._answer(len(self.state.waiting), self.state.num_slots)

    def skip_to(self, frame_index: int) -> None:
        """Begin at a later frame, as when a session turns to categories while it runs; only before the first frame.

        Raises:
            ValueError: when frames were given already.
        """
        if self.state.num_windows or len(self._window) or frame_index < self._window.next_frame:
            raise ValueError(f"can only skip forward before the first frame is given, from {self._window.next_frame}")
        self._window.next_frame = frame_index

    def share(self, features: SharedFeatures) -> None:
        """Compute no features that another segmenter of this video has computed in the same step, and the reverse."""
        self._window.shared = features

    def forget_entities(self) -> None:
        """Follow nothing any more, as when nobody asks; ids of entities and segments go on counting.

        Raises:
            ValueError: while frames wait for their answer: `finish` gives it first.
        """
        if self.state.waiting or len(self._window):
            raise ValueError(f"expected no frame to wait, got {len(self.state.waiting) + len(self._window)}")
        for entity in self.entities:
            if entity.object_id in self.memory.pool.object_ids:
                self.memory.pool.forget(entity.object_id)
        self.state = StreamState(ledger=self.state.ledger, next_id=self.state.next_id)
        self._found = None

    def resume(self, state: StreamState, pool: MemoryPool, first_frame: int, num_known: int) -> None:
        """Take over a state that was saved; `univs.inference.entities.snapshot` is the caller.

        Args:
            state: of the video.
            pool: the memory of its entities.
            first_frame: of the window: the next frame to be given.
            num_known: frames from there on that were in a window before.
        Raises:
            SnapshotError: for a pool of other sizes.
        """
        if pool.shape != self.memory.pool.shape:
            raise SnapshotError(f"expected a memory pool of {self.memory.pool.shape}, got {pool.shape}")
        self.state = state
        self.memory = replace(self.memory, pool=pool)
        self._window.next_frame, self._window.num_known = first_frame, num_known

    @property
    def next_frame(self) -> int:
        """Say which frame is to be given next; set it to leave out frames that cannot be had."""
        return self._window.next_frame

    @next_frame.setter
    def next_frame(self, frame_index: int) -> None:
        self._window.next_frame = frame_index

    @property
    def first_open_frame(self) -> int:
        """Say which frame a snapshot goes on with: the first of the window, or the next when it is empty."""
        return self._window.frames[0].index if self._window.frames else self._window.next_frame

    @property
    def num_known(self) -> int:
        """Count the frames of the window that were in a window before."""
        return self._window.num_known

    def ranking(self) -> tuple[RankedEntity, ...]:
        """Say which categories the entities of the video so far have, the surest first."""
        return rank(self.entities, self.vocabulary, self.options.ranking)

    @torch.inference_mode()
    def add_names(self, vocabulary: EncodedVocabulary) -> None:
        """Look for more categories from now on; entities that are followed get their scores of these by their looks."""
        num_names = len(self.vocabulary)
        self.vocabulary = self.vocabulary.joined_with(vocabulary)
        table = self.vocabulary.vectors[num_names:]
        for entity in self.entities:
            entity.widen(self._likeness(entity, table))

    def _look(self) -> None:
        """Run one window: what its frames show is in the entities afterwards."""
        features = self._window.features(words_of(self.model, [self.vocabulary.vectors[: len(self.vocabulary)]]))
        if self.state.entities and not self._tracks_queries():
            self._follow(features)
        self._found = None
        if self._is_detection_due() or self._asks_queries():
            measured = self.options.detection.measured
            self._found = detect(self.model, features, self.vocabulary, self.framing, measured)
            if self._is_detection_due():
                self._take_in(features, self._found)
        self.state.num_windows += 1
        self.state.num_slots += 1

    def _likeness(self, entity: Entity, table: torch.Tensor) -> torch.Tensor:
        """Score categories by the embeddings that are remembered of an entity: [K, D] -> [K]."""
        looks = entity.track.embeddings
        looks = looks[(looks != 0).any(dim=1)].to(self.model.mask_decoder.query_content.dtype)
        if not len(looks):
            return entity.class_slots.new_zeros(len(table))
        logits = self.model.mask_decoder.heads.classify(looks[None, None], table.to(looks))[0, 0]
        return (logits.sigmoid() * entity.quality).to(entity.class_slots)

    def _follow(self, features: ClipFeatures) -> None:
        if self.options.inference.judge is Judge.PRESENCE:
            frame = self._window.frames[-1]
            follow_alone(self.model, frame, features, self.entities, self.memory, self.framing, self.options)
            return
        place = WindowPlace(self._window.frames[0].index, self._window.num_known, self.state.num_windows)
        follow_together(self.model, features, self.entities, self.memory, self.framing, self.options, place)

    def _take_in(self, features: ClipFeatures, found: Detections) -> None:
        """Tell known entities from new ones among the detections, and begin to follow these."""
        detection = self.options.detection
        is_first = not self.state.entities
        if self._tracks_queries():
            found = follow_queries(self.entities, found, self._window.frames[-1])
        found = candidates(found, self.vocabulary, detection, is_first=is_first)
        arrival = Arrival(
            self._window.frames[-1].time_s,
            features,
            self.memory,
            self.framing,
            self.options,
            self.state.num_windows,
            len(self.state.waiting),
            self.state.num_slots,
        )
        is_matched = is_first or self._tracks_queries()
        same = [] if is_matched else arrival.recognise(self.entities, found)
        self._make_room()
        for row in arrival.new_rows(self.entities, found, same, is_first=is_first):
            object_id = self._take_id()
            self.state.entities[object_id] = arrival.begin(object_id, found, row)

    def _take_id(self) -> int:
        """Give the next id that is not reserved."""
        object_id = self.state.next_id
        while object_id in self.reserved_ids:
            object_id += 1
        self.state.next_id = object_id + 1
        return object_id

    def _make_room(self) -> None:
        """When no more can be followed, forget those that are lost: as new ones they would come back with new ids."""
        if len(self.state.entities) < self.options.detection.max_entities:
            return
        lost_after = self.options.inference.lost_after_frames
        for entity in self.entities:
            newest = self._window.next_frame - 1
            if entity.state(newest, lost_after, has_mask=entity.track.is_visible) is ObjectState.LOST:
                del self.state.entities[entity.object_id]
                self.memory.pool.forget(entity.object_id)

    def _leave(self, frames: list[WindowFrame]) -> list[FrameResult]:
        """Let frames leave the window, and answer those whose time has come."""
        for position, frame in enumerate(frames):
            semantic = self._semantic_of_queries(position)
            self.state.waiting.append(WaitingFrame(frame.index, frame.pts, frame.time_base, semantic))
        for entity in self.entities:
            entity.leave(len(frames))
        block = self.options.answer_block
        if block is None:
            return self._answer(len(self.state.waiting), len(frames))
        lag = 1 + self.memory.pool.shape.num_frames  # of the stream behind the block, as published
        if len(self.state.waiting) >= block + lag:
            return self._answer(block, block // self.options.inference.clip_stride)
        return []

    def _answer(self, num_frames: int, num_slots: int) -> list[FrameResult]:
        """Give the results of the frames that have waited longest."""
        waiting, self.state.waiting = self.state.waiting[:num_frames], self.state.waiting[num_frames:]
        if not waiting:
            return []
        panoptic = self._panoptic(len(waiting))
        results = [
            FrameResult(
                one.index,
                one.pts,
                one.time_base,
                self.framing.frame,
                self._instances(one.index, position),
                one.semantic if self._asks_queries() else self._semantic_of_entities(position),
                None if panoptic is None else panoptic[position],
            )
            for position, one in enumerate(waiting)
        ]
        remembers_windows = self.options.following.class_memory is ClassMemory.WINDOWS
        for entity in self.entities:
            entity.answered(len(waiting), num_slots if remembers_windows else 0)
        self.state.num_slots = max(0, self.state.num_slots - num_slots)
        return results

    def _instances(self, frame_index: int, position: int) -> tuple[MaskResult, ...]:
        if Answer.INSTANCES not in self.answers:
            return ()
        return tuple(
            self._instance(entity, frame_index, position)
            for entity in self.entities
            if entity.track.first_frame <= frame_index
        )

    def _instance(self, entity: Entity, frame_index: int, position: int) -> MaskResult:
        scores, track = entity.scores, entity.track
        class_index = int(scores.argmax())
        track.label = self.vocabulary.names[class_index]
        mask = self.framing.enlarge(entity.left[position][None])[0] > 0
        is_visible = bool(mask.any())
        state = (
            ObjectState.VISIBLE if is_visible else track.state(frame_index, self.options.inference.lost_after_frames)
        )
        presence = min(1.0, track.presence) if is_visible else 0.0
        score = float(scores[class_index]) * presence
        return mask_result(
            track, frame_index, mask, score=score, presence=presence, state=state, class_index=class_index
        )

    def _panoptic(self, num_frames: int) -> list[SegmentMap] | None:
        if Answer.PANOPTIC not in self.answers:
            return None
        entities = self.entities
        logits = self._waiting_logits(num_frames)
        return divide(entities, logits, self.state.ledger, self.vocabulary, self.framing, self.options.panoptic)

    def _semantic_of_entities(self, position: int) -> SegmentMap | None:
        if Answer.SEMANTIC not in self.answers:
            return None
        entities = self.entities
        logits = self._waiting_logits(position + 1)[:, position]
        scores = torch.stack([entity.scores for entity in entities]) if entities else logits.new_zeros(0, 1)
        semantic = self.options.semantic
        return semantic_map(scores, logits, self.vocabulary, self.framing, semantic, has_void=True)

    def _semantic_of_queries(self, position: int) -> SegmentMap | None:
        if not self._asks_queries() or self._found is None:
            return None
        logits, semantic = self._found.mask_logits[:, position], self.options.semantic
        return semantic_map(self._found.scores, logits, self.vocabulary, self.framing, semantic, has_void=False)

    def _waiting_logits(self, num_frames: int) -> torch.Tensor:
        """Give the masks of the frames that have waited longest: [N, F, h, w]."""
        masks = [entity.left[:num_frames] for entity in self.entities]
        return torch.stack(masks) if masks else torch.zeros(0, num_frames, *self.framing.padded)

    def _asks_queries(self) -> bool:
        return Answer.SEMANTIC in self.answers and self.options.semantic.source is SemanticSource.QUERIES

    def _follows(self) -> bool:
        """Tell whether an answer needs entities."""
        return bool(self.answers - {Answer.SEMANTIC}) or not self._asks_queries()

    def _tracks_queries(self) -> bool:
        return self.options.following.tracker is Tracker.QUERIES

    def _is_detection_due(self) -> bool:
        if not self._follows():
            return False
        if not self.state.entities:
            return self.options.detection.starts_late or self.state.num_windows == 0
        return self._tracks_queries() or self.state.num_windows % self.options.detection.interval == 0
