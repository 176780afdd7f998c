"""A segmenter together with the prompts it was given, so that it can be restored, and begin again for a correction."""

from typing import Self

from univs.inference.segmenter import VideoSegmenter
from univs.types import Frame, FrameResult
from univs_service.messages import AddPrompt, Following, PromptIn, RemoveObject
from univs_service.worker.convert import prompt_from_message
from univs_service.worker.engine import Engine
from univs_service.worker.memory import Effect, SessionMemory, prompts_of
from univs_service.worker.stuff import stuff_of


class PromptedSegmenter:
    """Keep `memory.effects` and the segmenter in step.

    An effect is a command and the frame before which it was taken. After a rewind the same effects are taken before
    the same frames, so frames before a correction come out as they did, and those after it know of the correction.
    """

    def __init__(self, engine: Engine, memory: SessionMemory, segmenter: VideoSegmenter, following: Following) -> None:
        self._engine = engine
        self._memory = memory
        self._following = following
        self._frame_size = segmenter.framing.frame
        self._segmenter = segmenter

    @classmethod
    def open(cls, engine: Engine, memory: SessionMemory, frame_size: tuple[int, int], following: Following) -> Self:
        """Begin a video."""
        return cls(engine, memory, engine.open(frame_size, following), following)

    @classmethod
    def restore(cls, engine: Engine, memory: SessionMemory, data: bytes, following: Following) -> Self:
        """Go on with a video from a saved state and the memory that was saved with it.

        Raises:
            SnapshotError: when the state does not fit the weights.
        """
        restored = cls(engine, memory, engine.restore(data, following), following)
        for prompt in prompts_of(memory.effects[: memory.num_effective]):
            if prompt.frame_index >= restored._segmenter.next_frame:  # the saved state does not hold those to come
                restored._give(prompt)
        restored._name_stuff()
        return restored

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the session's objects use."""
        return self._segmenter.num_bytes

    @property
    def first_waiting_frame(self) -> int:
        """The first frame that was not answered; results may wait for later frames."""
        return min(self._segmenter.first_waiting_frame, self._memory.next_frame)

    @property
    def first_needed_frame(self) -> int:
        """The first frame that must be seen again by a session restored from `save`."""
        return self.first_waiting_frame

    def save(self) -> bytes:
        """Give the state as bytes, with the memory that belongs to it: frames without a result will be seen again."""
        return self._memory.rewound(self.first_waiting_frame).pack(self._engine.save(self._segmenter))

    def add_prompt(self, prompt: PromptIn) -> int:
        """Take a prompt for a frame to come, or a correction of a frame that has passed; give its revision.

        A correction counts after the next `begin`.

        Raises:
            InputError: for a prompt that the network cannot use. Nothing has changed then.
        """
        memory = self._memory
        stuff_of(self._segmenter, self._engine.categories, self._following, [prompt])  # or a refusal
        if self.is_past(prompt.frame_index):
            self._engine.open(self._frame_size, self._following).add_prompt(
                prompt_from_message(prompt, self._frame_size)
            )
            memory.insert(Effect(at_frame=prompt.frame_index, command=AddPrompt(prompt=prompt)))
            memory.num_effective += 1  # until the next `begin` nothing changes for frames to come
        else:
            self._take_due(memory.next_frame)
            self._give(prompt)
            self._record(AddPrompt(prompt=prompt))
        self._name_stuff()
        return self.revision_of(prompt.object_id)

    def revision_of(self, object_id: int) -> int:
        """Count the prompts that an object was given."""
        return sum(known.object_id == object_id for known in prompts_of(self._memory.effects))

    def remove_object(self, object_id: int) -> None:
        """Forget an object from the next frame on.

        Raises:
            UnknownObjectError: when no prompt named it.
        """
        self._take_due(self._memory.next_frame)
        self._segmenter.remove_object(object_id)
        self._record(RemoveObject(object_id=object_id))

    def is_past(self, frame_index: int) -> bool:
        """Whether a frame has been segmented already, or is being segmented."""
        first_open = max(self._memory.next_frame, self._segmenter.first_open_frame)
        return self._memory.has_stepped and frame_index < first_open

    def begin(self, first_frame: int, *, is_correction: bool) -> None:
        """Choose where to go on so that `first_frame` comes out right: here, or at the first prompt once more."""
        memory = self._memory
        if memory.has_stepped and first_frame >= memory.next_frame and not is_correction:
            return
        if memory.has_stepped:
            self._segmenter = self._engine.open(self._frame_size, self._following)
            memory.has_stepped = False
            memory.num_effective = 0
        prompted = [
            effect.command.prompt.frame_index for effect in memory.effects if effect.command.type == "prompt.add"
        ]
        self._name_stuff()
        memory.next_frame = min([first_frame, *prompted])  # objects that were removed later have their say until then
        self._segmenter.skip_to(memory.next_frame)

    def step(self, frame: Frame, coming: Frame | None = None) -> list[FrameResult]:
        """Segment the next frame, after everything that was to be taken before it; give the results it completes.

        Args:
            frame: the next one.
            coming: the one after it, if it is there already; it will be answered sooner.
        """
        self._take_due(frame.index)
        results = self._engine.step(self._segmenter, frame, coming)
        self._memory.next_frame = frame.index + 1
        self._memory.has_stepped = True
        return results

    def finish(self) -> list[FrameResult]:
        """Give the results that waited for frames which will not come."""
        return self._engine.finish(self._segmenter)

    def skip(self, frame_index: int) -> None:
        """Leave out the next frame: it cannot be read. Its prompts count from the one after it."""
        self._take_due(frame_index)
        memory = self._memory
        memory.next_frame = frame_index + 1
        memory.has_stepped = True
        self._segmenter.skip()
        for effect in memory.effects:
            if effect.command.type == "prompt.add" and effect.command.prompt.frame_index == frame_index:
                self._postpone(effect, frame_index + 1)

    def take_postponed(self) -> list[PromptIn]:
        """Give the prompts that waited for a frame with a picture: they count from the next one."""
        taken, self._memory.postponed = self._memory.postponed, []
        return taken

    def _take_due(self, frame_index: int) -> None:
        memory = self._memory
        while memory.num_effective < len(memory.effects):
            effect = memory.effects[memory.num_effective]
            if effect.at_frame > frame_index:
                return
            match effect.command:
                case AddPrompt(prompt=prompt):
                    self._give(prompt)
                case RemoveObject(object_id=object_id):
                    self._segmenter.remove_object(object_id)
            memory.num_effective += 1

    def _postpone(self, effect: Effect, frame_index: int) -> None:
        assert effect.command.type == "prompt.add"
        memory, before = self._memory, effect.command.prompt
        prompt = before.model_copy(update={"frame_index": frame_index})
        effect.command = AddPrompt(prompt=prompt)
        memory.postponed = [*(known for known in memory.postponed if known != before), prompt]

    def _name_stuff(self) -> None:
        prompts = prompts_of(self._memory.effects)
        self._segmenter.stuff = stuff_of(self._segmenter, self._engine.categories, self._following, prompts)

    def _give(self, prompt: PromptIn) -> None:
        self._segmenter.add_prompt(prompt_from_message(prompt, self._frame_size))

    def _record(self, command: AddPrompt | RemoveObject) -> None:
        self._memory.insert(Effect(at_frame=self._memory.next_frame, command=command))
        self._memory.num_effective += 1
