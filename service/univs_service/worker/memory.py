"""What a session remembers between two steps: everything a worker needs to go on where another one stopped."""

import struct
from bisect import bisect_right
from collections.abc import Sequence
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from univs.types import FrameResult
from univs_service.messages import AddPrompt, Configure, FrameCommand, Problem, PromptIn, PushFrame, RemoveObject

_HEADER = struct.Struct("<II")  # lengths of the JSON and of the bytes of prompted objects; those of entities follow

SegmenterCommand: TypeAlias = Annotated[AddPrompt | RemoveObject, Field(discriminator="type")]


class Effect(BaseModel):
    """A command that the segmenter has taken, and before which frame it took it."""

    at_frame: int
    command: SegmenterCommand


class ConfigEffect(BaseModel):
    """A configuration that was taken, and before which frame."""

    at_frame: int
    command: Configure


class Run(BaseModel):
    """One pass over frames; each of them gets exactly one terminal event."""

    run_id: int
    first_frame: int  # frames before it are only computed, where objects were prompted earlier
    to_frame: int | None  # inclusive; None for the end


class BackwardRequest(BaseModel):
    """A run towards the beginning that is wanted; all frames inclusive, the first of them the highest."""

    start_frame: int  # where the objects are known from
    first_frame: int  # the first that gets an event; those above it only bring the objects up
    to_frame: int
    object_ids: list[int] | None  # None for all that are known

    def covers(self, other: "BackwardRequest") -> bool:
        """Whether a run of this one makes the other superfluous."""
        return (
            self.object_ids == other.object_ids
            and self.start_frame >= other.start_frame
            and self.first_frame >= other.first_frame
            and self.to_frame <= other.to_frame
        )


class BackwardRun(BaseModel):
    """The run towards the beginning that goes on."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    run_id: int
    request: BackwardRequest
    next_frame: int  # that the segmenter has not seen; goes down
    prompts: list[PromptIn]  # those that were there when it began
    state: bytes = b""  # of its segmenter, in a snapshot


class SessionMemory(BaseModel):
    """State of a session, beside the segmenter's own. Restored, it gives the same events again."""

    version: Literal[2] = 2
    log_id: str = "0-0"  # the last command that is accounted for
    next_frame: int = 0  # first frame that the segmenter has not seen
    has_stepped: bool = False
    run: Run | None = None
    last_run_id: int = 0
    effects: list[Effect] = []  # ascending in `at_frame`; a new run replays them
    num_effective: int = 0  # so many of them the segmenter has taken in this run
    configs: list[ConfigEffect] = []  # ascending in `at_frame`; a new run replays them
    num_configs: int = 0  # so many of them count by now in this run
    found_from: int = 0  # the first frame in which entities are looked for, while they are
    last_entity_id: int = 0  # the greatest that an entity ever had
    awaited: list[int] = []  # frames without a result that entities have a part in
    held_prompted: list[FrameResult] = []  # of frames whose entities are not answered yet
    held_found: list[FrameResult] = []  # of frames whose prompted objects are not answered yet
    pushed: list[FrameCommand] = []  # frames taken from the log and not segmented yet
    postponed: list[PromptIn] = []  # prompts whose frame had no picture: they count from the next one that has
    waiting: list[PushFrame] = []  # frames that the segmenter has seen and that have no result yet
    is_input_ended: bool = False
    is_input_lost: bool = False  # whether the camera was away when the last word of it came
    source_problem: Problem | None = None  # why the camera gives no more frames
    unpublished: list[str] = []  # events that were written and perhaps not published
    keyframe: tuple[int, int] | None = None  # index and pts of a place in the file where decoding can start
    backward: BackwardRun | None = None  # goes on while `run` is None
    backward_waiting: list[BackwardRequest] = []

    @property
    def is_silent(self) -> bool:
        """Whether the next frame gets no event: it only brings the objects up to the run's first frame."""
        return self.run is not None and self.next_frame < self.run.first_frame

    @property
    def num_objects(self) -> int:
        """Objects with a prompt that were not removed."""
        return len({prompt.object_id for prompt in prompts_of(self.effects)})

    def insert(self, effect: Effect) -> None:
        """Put an effect behind all that come no later; those the segmenter has taken stay taken."""
        place = bisect_right(self.effects, effect.at_frame, key=lambda known: known.at_frame)
        self.effects.insert(place, effect)

    def rewound(self, first_frame: int) -> Self:
        """Give the state from which the segmenter sees the frames without a result again, `first_frame` and later."""
        waiting = [push for push in self.waiting if push.frame_index >= first_frame]
        return self.model_copy(update={"next_frame": first_frame, "pushed": waiting + self.pushed, "waiting": []})

    def pack(self, prompted: bytes, entities: bytes = b"") -> bytes:
        """Write this and the states of the two segmenters as bytes."""
        header = self.model_dump_json().encode()
        return _HEADER.pack(len(header), len(prompted)) + header + prompted + entities

    @classmethod
    def unpack(cls, data: bytes) -> tuple[Self, bytes, bytes]:
        """Read what `pack` wrote."""
        length, num_prompted = _HEADER.unpack_from(data)
        first = _HEADER.size + length
        second = first + num_prompted
        return cls.model_validate_json(data[_HEADER.size : first]), data[first:second], data[second:]


def prompted_ids(effects: Sequence[Effect]) -> frozenset[int]:
    """Give the ids that objects ever had which were prompted, those removed since included."""
    return frozenset(effect.command.prompt.object_id for effect in effects if isinstance(effect.command, AddPrompt))


def prompts_of(effects: Sequence[Effect]) -> list[PromptIn]:
    """Give the prompts of objects that were not removed after them, in order."""
    kept: list[PromptIn] = []
    for effect in effects:
        match effect.command:
            case AddPrompt(prompt=prompt):
                kept.append(prompt)
            case RemoveObject(object_id=object_id):
                kept = [prompt for prompt in kept if prompt.object_id != object_id]
    return kept
