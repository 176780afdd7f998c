"""The entities of one session: what was asked for, and the segmenter that finds them, kept in step with the memory.

Like prompts, configurations are effects: after a rewind they are taken before the same frames again.
"""

from univs.inference.entities.options import Answer
from univs.inference.entities.segmenter import EntitySegmenter
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.inference.shared_features import SharedFeatures
from univs.types import Clip, Frame, FrameResult
from univs.vocabularies import Vocabulary
from univs_service.errors import InvalidInputError, ObjectTakenError, TooManyError
from univs_service.messages import CATEGORY_TASKS, MAX_NAMES, Configure, FieldError, PromptIn, Task
from univs_service.worker.categories import ANSWERS, CategoryEngine
from univs_service.worker.memory import ConfigEffect, SessionMemory, prompted_ids


class EntityStream:
    """Look for entities while a task asks for them; rest while none does."""

    def __init__(
        self,
        engine: CategoryEngine,
        memory: SessionMemory,
        frame_size: tuple[int, int],
        shared: SharedFeatures,
        *,
        is_still: bool,
    ) -> None:
        """Look for nothing yet.

        Args:
            engine: the network.
            memory: of the session; configurations are recorded in it.
            frame_size: (height, width) in pixels.
            shared: features, with the segmenter of prompted objects.
            is_still: the video is one picture.
        """
        self._engine = engine
        self._memory = memory
        self._frame_size = frame_size
        self._shared = shared
        self._is_still = is_still
        self._tasks: tuple[Task, ...] = ()
        self._answers: frozenset[Answer] = frozenset()
        self._first_answers: frozenset[Answer] = frozenset()  # they decide on the options of the stream
        self._words: EncodedVocabulary | None = None
        self._segmenter: EntitySegmenter | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Say what is asked for now."""
        return self._tasks

    @property
    def words(self) -> Vocabulary | None:
        """Give the categories so far."""
        return None if self._words is None else self._words.words

    @property
    def is_on(self) -> bool:
        """Whether entities are looked for now."""
        return bool(self._answers)

    @property
    def warning(self) -> str | None:
        """Say why answers mean nothing, where they do."""
        return self._engine.warning if self.is_on else None

    @property
    def num_entities(self) -> int:
        """Count the entities that are followed."""
        return 0 if self._segmenter is None else len(self._segmenter.object_ids)

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that entities use."""
        return 0 if self._segmenter is None else self._segmenter.num_bytes

    @property
    def first_needed_frame(self) -> int | None:
        """The first frame that a restored stream must see again; None when it waits for none."""
        if self._segmenter is None or not self.is_on:
            return None
        return self._segmenter.first_open_frame

    @property
    def next_frame(self) -> int:
        """The first frame that was not seen; 0 while nothing is looked for."""
        return self._segmenter.next_frame if self._segmenter is not None and self.is_on else 0

    def configure(self, command: Configure) -> None:
        """Take a configuration; it counts from the next frame on.

        Raises:
            InvalidInputError: for a task about categories while there are none, and for too many of them.
            UnknownVocabularyError, UnsupportedTaskError, InputError: for names that cannot be read.
        """
        self.take_due(self._memory.next_frame)
        self._check(command)
        self._take(command)
        self._memory.configs.append(ConfigEffect(at_frame=self._memory.next_frame, command=command))
        self._memory.num_configs += 1

    def check_id(self, prompt: PromptIn) -> None:
        """Refuse a prompt whose object id belongs to an entity.

        Raises:
            ObjectTakenError: naming an id that is free.
        """
        known = prompted_ids(self._memory.effects)
        if prompt.object_id <= self._memory.last_entity_id and prompt.object_id not in known:
            free = max([self._memory.last_entity_id, *known]) + 1
            raise ObjectTakenError(
                f"expected an object id that no entity of this session has, got {prompt.object_id}; "
                f"take {free} or a greater one",
                errors=[FieldError(loc=["object_id"], msg="is the id of an entity")],
            )

    def begin(self, first_frame: int) -> None:
        """Begin with a frame; what was asked before any frame was seen counts from it."""
        for effect in self._memory.configs:
            effect.at_frame = first_frame
        self._memory.found_from = first_frame

    def rewind(self, first_frame: int) -> int:
        """Forget what was found; give the frame from which frames must come again, so that `first_frame` comes out
        right.
        """
        self._forget()
        self._memory.num_configs = 0
        starts = [effect.at_frame for effect in self._memory.configs if effect.command.needs_names]
        return min([first_frame, *starts])

    def take_due(self, frame_index: int) -> None:
        """Take the configurations that were taken before this frame in an earlier run."""
        memory = self._memory
        while memory.num_configs < len(memory.configs):
            effect = memory.configs[memory.num_configs]
            if effect.at_frame > frame_index:
                return
            self._take(effect.command)
            memory.num_configs += 1

    def wants(self, frame_index: int) -> bool:
        """Whether a frame is to be looked at: entities are looked for, and it was not seen before a restart."""
        if not self.is_on or frame_index < self._memory.found_from:
            return False
        return self._segmenter is None or frame_index >= self._segmenter.next_frame

    def step(self, frame: Frame) -> list[FrameResult]:
        """Look at the next frame, a wanted one; give the answers it completes, of this frame or of earlier ones."""
        segmenter = self._opened(frame.index)
        segmenter.share(self._shared)
        segmenter.reserved_ids = prompted_ids(self._memory.effects)
        found = segmenter.step(Clip((frame,)))
        self._memory.last_entity_id = max(self._memory.last_entity_id, segmenter.state.next_id - 1)
        return found

    def finish(self) -> list[FrameResult]:
        """Give the answers that waited for frames which will not come."""
        return [] if self._segmenter is None or not self.is_on else self._segmenter.finish()

    def skip(self, frame_index: int) -> None:
        """Leave out a frame that has no picture; no answer waits."""
        if self._segmenter is not None and self.is_on:
            self._segmenter.next_frame = max(self._segmenter.next_frame, frame_index + 1)

    def save(self) -> bytes:
        """Give the state as bytes; empty while nothing was looked for."""
        return b"" if self._segmenter is None else self._engine.save(self._segmenter)

    def restore(self, data: bytes) -> None:
        """Take over a state that was saved together with the memory.

        Raises:
            SnapshotError: when it does not fit the weights.
        """
        for effect in self._memory.configs[: self._memory.num_configs]:
            self._learn(effect.command)
        if data:
            assert self._words is not None, "a stream begins with names"
            self._segmenter = self._engine.restore(data, self._words, self._first_answers, is_still=self._is_still)

    def _forget(self) -> None:
        self._tasks, self._answers, self._first_answers = (), frozenset(), frozenset()
        self._words = self._segmenter = None

    def _check(self, command: Configure) -> None:
        added = self._engine.read(command)
        if self._words is None and added is None and command.needs_names:
            raise InvalidInputError(
                "expected names of categories for vis, vss and vps, got none; give `vocabulary`",
                errors=[FieldError(loc=["vocabulary"], msg="must be given with such a task")],
            )
        num_known = 0 if self._words is None else len(self._words)
        num_added = 0 if added is None else len(added)
        if self._words is not None and added is not None:
            num_added = len(self._words.words.missing_rows(added.words))
        if num_known + num_added > MAX_NAMES:
            raise TooManyError(
                f"expected at most {MAX_NAMES} categories in a session, got {num_known + num_added}; "
                "start another session for more"
            )

    def _take(self, command: Configure) -> None:
        """Do what a configuration says, from the next frame on."""
        num_before = 0 if self._words is None else len(self._words)
        was_on = self.is_on
        self._learn(command)
        if self.is_on and not was_on:
            self._memory.found_from = self._memory.next_frame
        segmenter = self._segmenter
        if segmenter is None:
            return
        assert self._words is not None, "a stream begins with names"
        if len(self._words) > num_before:
            segmenter.add_names(self._words)
        if was_on and not self.is_on:
            self._memory.held_found += segmenter.finish()
            segmenter.forget_entities()
        segmenter.answers = self._answers

    def _learn(self, command: Configure) -> None:
        """Take note of what a configuration asks for."""
        added = self._engine.read(command)
        if added is not None:
            self._words = added if self._words is None else self._words.joined_with(added)
        if command.tasks:
            self._tasks = command.tasks
            self._answers = frozenset(ANSWERS[task] for task in CATEGORY_TASKS if task in command.tasks)
            self._first_answers = self._first_answers or self._answers

    def _opened(self, frame_index: int) -> EntitySegmenter:
        """Give the segmenter, which begins with this frame if it rested."""
        if self._segmenter is None:
            assert self._words is not None, "a task about categories needs names"
            self._segmenter = self._engine.open(
                self._words, self._frame_size, self._first_answers, is_still=self._is_still
            )
            self._segmenter.answers = self._answers
            self._segmenter.skip_to(frame_index)
        elif frame_index == self._memory.found_from:
            self._segmenter.next_frame = frame_index
        return self._segmenter
