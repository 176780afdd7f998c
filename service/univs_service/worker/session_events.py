"""What a session says, besides its masks: the events of its prompts, runs and end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from univs_service.errors import PromptOutOfRangeError
from univs_service.messages import (
    ConfigApplied,
    ConfigRefused,
    FrameDropped,
    FrameError,
    InputBack,
    InputLost,
    ObjectRemoved,
    Problem,
    PromptApplied,
    PromptIn,
    PromptRefused,
    RunDone,
    SessionClosed,
    SessionFailed,
    SessionStatus,
    Task,
)
from univs_service.metrics import WorkerMetrics
from univs_service.worker.event_log import UNNUMBERED, EventLog
from univs_service.worker.memory import BackwardRun, Run

RunReason: TypeAlias = Literal["end", "to_frame", "closed", "damaged", "superseded", "source_lost"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How the session ends; what is left is to tell the store."""

    status: SessionStatus
    problem: Problem | None


class SessionEvents:
    """Write the events of one session into its log."""

    def __init__(self, log: EventLog, metrics: WorkerMetrics) -> None:
        self.log = log
        self._metrics = metrics

    def applied(self, prompt: PromptIn, revision: int) -> None:
        """A prompt counts from its frame on."""
        self.log.write(
            PromptApplied(
                seq=UNNUMBERED,
                prompt_id=prompt.prompt_id,
                object_id=prompt.object_id,
                frame_index=prompt.frame_index,
                revision=revision,
            )
        )

    def refused(self, prompt: PromptIn, problem: Problem) -> None:
        """A prompt cannot be used; the session goes on."""
        self.log.write(
            PromptRefused(seq=UNNUMBERED, prompt_id=prompt.prompt_id, object_id=prompt.object_id, problem=problem)
        )

    def config_applied(
        self, config_id: str | None, frame_index: int, task: Sequence[Task], num_names: int, warning: str | None
    ) -> None:
        """What is asked of the session has changed."""
        self.log.write(
            ConfigApplied(
                seq=UNNUMBERED,
                config_id=config_id,
                frame_index=frame_index,
                task=list(task),
                num_names=num_names,
                warning=warning,
            )
        )

    def config_refused(self, config_id: str | None, problem: Problem) -> None:
        """A configuration cannot be used; the session goes on as before."""
        self.log.write(ConfigRefused(seq=UNNUMBERED, config_id=config_id, problem=problem))

    def refused_beyond_the_end(self, prompts: Sequence[PromptIn], num_frames: int) -> None:
        """The video ended before the frames of some prompts."""
        for prompt in prompts:
            if prompt.frame_index >= num_frames:
                error = PromptOutOfRangeError(
                    f"expected a frame below {num_frames}, the number of frames in the video, "
                    f"got {prompt.frame_index}; count from 0"
                )
                self.refused(prompt, error.to_problem())

    def frame_error(self, run: Run | BackwardRun, frame_index: int, problem: Problem) -> None:
        """A frame could not be segmented."""
        self._metrics.frames.labels("error").inc()
        self.log.write(FrameError(seq=UNNUMBERED, run_id=run.run_id, frame_index=frame_index, problem=problem))

    def frame_dropped(self, run_id: int, frame_index: int, reason: str) -> None:
        """A frame that was taken in gets no result."""
        self._metrics.frames.labels("dropped").inc()
        self.log.write(FrameDropped(seq=UNNUMBERED, run_id=run_id, frame_index=frame_index, reason=reason))

    def run_done(self, run: Run, reason: RunReason, next_frame: int, *, is_followed: bool = False) -> None:
        """A run ends before `next_frame`."""
        num_frames = max(0, next_frame - run.first_frame)
        self.log.write(
            RunDone(seq=UNNUMBERED, run_id=run.run_id, reason=reason, num_frames=num_frames, is_followed=is_followed)
        )

    def backward_done(
        self, run: BackwardRun, reason: RunReason, first_unanswered: int, *, is_followed: bool = False
    ) -> None:
        """A run towards the beginning ends; `first_unanswered` would have been its next frame."""
        num_frames = max(0, run.request.first_frame - first_unanswered)
        self.log.write(
            RunDone(
                seq=UNNUMBERED,
                run_id=run.run_id,
                reason=reason,
                num_frames=num_frames,
                direction="backward",
                is_followed=is_followed,
            )
        )

    def removed(self, object_id: int, frame_index: int) -> None:
        """An object is gone from a frame on."""
        self.log.write(ObjectRemoved(seq=UNNUMBERED, object_id=object_id, frame_index=frame_index))

    def input_lost(self, problem: Problem) -> None:
        """The camera is away; the session waits for it."""
        self.log.write(InputLost(seq=UNNUMBERED, problem=problem))

    def input_back(self, frame_index: int) -> None:
        """The camera is there again, from this frame on."""
        self.log.write(InputBack(seq=UNNUMBERED, frame_index=frame_index))

    def failed(self, problem: Problem) -> None:
        """The session cannot go on."""
        self._metrics.session_failures.labels(problem.code).inc()
        self.log.write(SessionFailed(seq=UNNUMBERED, problem=problem))

    def closed(self, reason: str) -> None:
        """Nothing comes after this."""
        self.log.write(SessionClosed(seq=UNNUMBERED, reason=reason, final_seq=self.log.last_seq + 1))
