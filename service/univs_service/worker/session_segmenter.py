"""What one session segments: the objects that were prompted and the entities that were found, one result a frame."""

from dataclasses import replace
from typing import Self

from univs.inference.shared_features import SharedFeatures
from univs.types import Frame, FrameResult
from univs.vocabularies import Vocabulary
from univs_service.messages import Configure, Following, PromptIn, Task
from univs_service.worker.engine import Engine
from univs_service.worker.entity_stream import EntityStream
from univs_service.worker.memory import SessionMemory
from univs_service.worker.prompted_segmenter import PromptedSegmenter


class SessionSegmenter(PromptedSegmenter):
    """Follow prompted objects as its base does, and look for entities beside them.

    Each of the two answers a frame when its own windows are past it; a frame has its result when both did.
    """

    _entities: EntityStream
    _shared: SharedFeatures
    _prompted_from = 0  # frames before it the segmenter of prompted objects saw before the session was restored
    _again_until = 0  # frames before it one of the two saw

    @classmethod
    def begin_session(
        cls,
        engine: Engine,
        memory: SessionMemory,
        frame_size: tuple[int, int],
        following: Following,
        *,
        is_still: bool = False,
    ) -> Self:
        """Begin a video of (height, width) pixels, or a still."""
        opened = cls.open(engine, memory, frame_size, following)
        opened._shared = SharedFeatures()
        opened._entities = EntityStream(engine.categories, memory, frame_size, opened._shared, is_still=is_still)
        return opened

    @classmethod
    def resume_session(
        cls,
        engine: Engine,
        memory: SessionMemory,
        prompted: bytes,
        entities: bytes,
        following: Following,
        *,
        is_still: bool = False,
    ) -> Self:
        """Go on with a video from saved states and the memory that was saved with them.

        Raises:
            SnapshotError: when a state does not fit the weights.
        """
        restored = cls.restore(engine, memory, prompted, following)
        restored._shared = SharedFeatures()
        restored._entities = EntityStream(
            engine.categories, memory, restored._frame_size, restored._shared, is_still=is_still
        )
        restored._entities.restore(entities)
        restored._prompted_from = restored._segmenter.next_frame
        restored._again_until = max(restored._prompted_from, restored._entities.next_frame)
        return restored

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Say what is asked for now."""
        return self._entities.tasks

    @property
    def words(self) -> Vocabulary | None:
        """Give the categories that are looked for, or were."""
        return self._entities.words

    @property
    def warning(self) -> str | None:
        """Say why answers mean nothing, where they do."""
        return self._entities.warning

    def warning_of(self, result: FrameResult) -> str | None:
        """Say why a result means nothing, where it does: one with entities in it, or made while they are looked for."""
        has_entities = result.semantic is not None or result.panoptic is not None
        has_entities = has_entities or any(found.class_index is not None for found in result.objects)
        return self._engine.categories.warning if has_entities else self.warning

    @property
    def num_objects(self) -> int:
        """Count the objects with prompts, and the entities that are followed."""
        return self._memory.num_objects + self._entities.num_entities

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the session's objects use."""
        return super().num_bytes + self._entities.num_bytes

    @property
    def first_waiting_frame(self) -> int:
        """The first frame that was not answered."""
        held = self._memory.held_prompted
        return held[0].frame_index if held else super().first_waiting_frame

    @property
    def first_needed_frame(self) -> int:
        """The first frame that must be seen again by a session restored from `save`."""
        needed = self._entities.first_needed_frame
        first = super().first_needed_frame
        return first if needed is None else min(first, needed)

    @property
    def is_catching_up(self) -> bool:
        """Whether frames come again that were seen before the session was restored; until then nothing changes."""
        return self._memory.next_frame < self._again_until

    def save(self) -> bytes:
        """Give the state as bytes, with the memory that belongs to it."""
        memory = self._memory.rewound(self.first_needed_frame)
        return memory.pack(self._engine.save(self._segmenter), self._entities.save())

    def configure(self, command: Configure) -> None:
        """Take what is asked for from the next frame on.

        Raises:
            InputError, InvalidInputError: for what cannot be used. Nothing has changed then.
        """
        self._entities.configure(command)

    def add_prompt(self, prompt: PromptIn) -> int:
        """Take a prompt as the base does, unless its object id is an entity's."""
        self._entities.check_id(prompt)
        return super().add_prompt(prompt)

    def begin(self, first_frame: int, *, is_correction: bool) -> None:
        """Choose where to go on so that `first_frame` comes out right: here, or where something began."""
        memory = self._memory
        if not memory.has_stepped:
            super().begin(first_frame, is_correction=is_correction)
            self._entities.begin(memory.next_frame)
        elif first_frame < memory.next_frame or is_correction:
            memory.awaited, memory.held_prompted, memory.held_found = [], [], []
            self._prompted_from = self._again_until = 0
            super().begin(self._entities.rewind(first_frame), is_correction=True)

    def step(self, frame: Frame, coming: Frame | None = None) -> list[FrameResult]:
        """Segment the next frame; give the results it completes. What is coming is looked at early, if it can be."""
        self._segmenter.share(self._shared)
        try:
            return self._step(frame, coming)
        finally:
            self._shared.forget()

    def finish(self) -> list[FrameResult]:
        """Give the results that waited for frames which will not come."""
        try:
            return self._joined(super().finish(), self._entities.finish())
        finally:
            self._shared.forget()

    def _step(self, frame: Frame, coming: Frame | None) -> list[FrameResult]:
        memory = self._memory
        self._entities.take_due(frame.index)
        if self._entities.wants(frame.index):
            memory.awaited.append(frame.index)
            found = self._entities.step(frame)
        else:
            found = []
        if frame.index >= self._prompted_from:
            if coming is not None and self._entities.wants(coming.index):
                coming = None  # entities look first, and share what they saw
            return self._joined(super().step(frame, coming), found)
        memory.next_frame, memory.has_stepped = frame.index + 1, True  # seen before the session was restored
        return self._joined([], found)

    def skip(self, frame_index: int) -> None:
        """Leave out the next frame: it cannot be read."""
        super().skip(frame_index)
        self._entities.skip(frame_index)

    def _joined(self, prompted: list[FrameResult], found: list[FrameResult]) -> list[FrameResult]:
        """Give the frames whose parts have all come, in order; the others wait."""
        memory = self._memory
        memory.held_prompted += prompted
        memory.held_found += found
        complete = []
        while memory.held_prompted:
            result = memory.held_prompted[0]
            if result.frame_index in memory.awaited:
                if not memory.held_found:
                    break
                result = _with_entities(result, memory.held_found.pop(0))
                memory.awaited.remove(result.frame_index)
            complete.append(result)
            del memory.held_prompted[0]
        return complete


def _with_entities(prompted: FrameResult, found: FrameResult) -> FrameResult:
    assert prompted.frame_index == found.frame_index, "both answer the frames they have seen, in order"
    objects = sorted((*prompted.objects, *found.objects), key=lambda result: result.object_id)
    return replace(prompted, objects=tuple(objects), semantic=found.semantic, panoptic=found.panoptic)
