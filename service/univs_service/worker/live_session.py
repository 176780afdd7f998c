"""One session in the worker's hands: its commands, its frames, its segmenter, its events.

What it does is a function of its command log and its frames, so a worker that takes over repeats what the last one did
after its snapshot. Two rules make it so. Frames of a file and commands meet at a moment that only this process knows:
therefore a snapshot follows the commands before their consequences are published. Pushed frames are commands
themselves: there the order of the log says everything.
"""

import time
from collections.abc import Sequence
from typing import Literal

from univs.errors import DamagedVideoError, VideoError
from univs.types import FrameResult
from univs_service.errors import BadFrameError
from univs_service.messages import (
    AddPrompt,
    CameraBack,
    CameraGone,
    CameraLost,
    CloseSession,
    Configure,
    DropFrame,
    InputEnd,
    Problem,
    Propagate,
    PushFrame,
    RefuseFrame,
    RemoveObject,
    SessionStatus,
)
from univs_service.store.records import Snapshot
from univs_service.worker import convert
from univs_service.worker.backward_runs import revised
from univs_service.worker.held_session import HeldSession
from univs_service.worker.inbox import Received
from univs_service.worker.memory import BackwardRun, Run, prompts_of
from univs_service.worker.session_events import Ending, RunReason

_SKIPS_A_SNAPSHOT = 256  # frames without a result cost little to repeat, but their commands fill the log


class LiveSession(HeldSession):
    """Run one session. After a failure of the store, the same calls go on where they stopped."""

    # --- what the loop asks ----------------------------------------------------------------------------------

    @property
    def is_runnable(self) -> bool:
        """Whether there is a frame to run, and nothing that must be stored first."""
        memory = self._memory
        if self.is_over or not self._is_settled or (memory.run is None and memory.backward is None):
            return False
        return not self._is_pushed or bool(self._memory.pushed) or self._memory.is_input_ended

    @property
    def is_failing(self) -> bool:
        """Whether the session ends because something went wrong."""
        return self._ending is not None and self._ending.status is SessionStatus.FAILED

    @property
    def _is_settled(self) -> bool:
        return not (self._is_snapshot_due or self._events.unpublished or self._ending)

    # --- receive ---------------------------------------------------------------------------------------------

    def receive(self) -> None:
        """Read new commands and do what they say, as far as their time has come."""
        self._inbox.read()
        if self._ending is None and self._is_settled:
            self._consume()
        self.settle()

    def settle(self) -> None:
        """Store and publish what is written; end the session if its time has come."""
        memory = self._memory
        if self._is_snapshot_due:
            self._save_snapshot()
        next_frame = max(self._first_unanswered, memory.run.first_frame if memory.run else 0)
        if self._ending is None:
            self._events.flush(next_frame=next_frame, num_objects=self.num_objects)
            return
        self._events.finish(
            self._ending.status, self._ending.problem, next_frame=next_frame, num_objects=self.num_objects
        )
        if self._frames is not None:
            self._frames.forget(before=2**31)
        self.is_over = True

    def _consume(self) -> None:
        if self._events.is_caught_up and self._inbox.asks_to_close:
            self._end("closed")
            return
        while self._inbox and self._may_consume() and self._ending is None:
            item = self._inbox.take()
            self._apply(item)
            self._memory.log_id = item.log_id
            self._is_snapshot_due |= not self._is_pushed
            self._idle_since_s = time.monotonic()
        if self._camera is not None and self._memory.run is not None:
            self._camera.start(is_lost=self._memory.is_input_lost)
        if self._ending is None:
            self._go_on()

    def _may_consume(self) -> bool:
        """Whether the next command's place among the frames has come."""
        memory = self._memory
        if self._is_pushed:
            return memory.run is None or not memory.pushed
        is_again = memory.is_silent or (memory.run is not None and self._segmenter.is_catching_up)
        return self._events.is_caught_up and not is_again

    def _apply(self, item: Received) -> None:
        match item.command:
            case AddPrompt(prompt=prompt):
                self._add_prompt(prompt)
                self._metrics.prompt_applied_seconds.observe(time.monotonic() - item.read_s)
            case Configure():
                self._configure(item.command)
            case RemoveObject(object_id=object_id):
                self._remove_object(object_id)
            case Propagate():
                self._propagate(item.command)
            case PushFrame() | RefuseFrame() | DropFrame() as arrived:
                self._memory.pushed.append(arrived)
            case CameraLost(problem=problem):
                self._memory.is_input_lost = True
                self._say.input_lost(problem)
            case CameraBack(frame_index=frame_index):
                self._memory.is_input_lost = False
                self._say.input_back(frame_index)
            case InputEnd():
                self._memory.is_input_ended = True
            case CameraGone(problem=problem):
                self._memory.is_input_ended, self._memory.source_problem = True, problem
            case CloseSession():
                self._end("closed")

    # --- run -------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Run one frame and publish what it gives."""
        run = self._memory.run
        started_s = time.monotonic()
        if run is None:
            num_results = self._run_backward()
        elif run.to_frame is not None and self._memory.next_frame > run.to_frame:
            num_results = self._end_run(run, "to_frame")
        else:
            num_results = self._run_frame(run)
            if self._camera is not None:
                self._camera.make_room(self._memory.next_frame)
        with self._metrics.stage_seconds.labels("publish").time():
            self.settle()
        self._result_times.observe(num_results, started_s)
        is_due = self._frames_since_snapshot >= self._settings.snapshot_every
        if (is_due or self._skips_since_snapshot >= _SKIPS_A_SNAPSHOT) and not self.is_over:
            self._save_snapshot()

    def _run_frame(self, run: Run) -> int:
        """Run the next frame; count the results it gives, its own or those of earlier frames."""
        match self._memory.pushed:
            case [RefuseFrame() as refused, *_]:
                self._memory.pushed.pop(0)
                num_results = self._skip(run)
                self._say.frame_error(run, refused.frame_index, refused.problem)
                return num_results
            case [DropFrame() as dropped, *_]:
                self._memory.pushed.pop(0)
                num_results = self._skip(run)
                self._say.frame_dropped(run.run_id, dropped.frame_index, dropped.reason)
                return num_results
        try:
            with self._metrics.stage_seconds.labels("decode").time():
                assert self._frames is not None, "open() comes first"
                frame = self._frames.read(self._segmenter.first_needed_frame)
        except DamagedVideoError as error:
            return self._break_off(run, convert.problem_of(error))
        except BadFrameError as error:
            num_results = self._skip(run)
            self._say.frame_error(run, self._memory.next_frame - 1, error.to_problem())
            return num_results
        if frame is None:
            return self._end_run(run, "source_lost" if self._memory.source_problem else "end")
        for prompt in self._segmenter.take_postponed():
            self._say.applied(prompt, self._segmenter.revision_of(prompt.object_id))
        with self._metrics.stage_seconds.labels("model").time():
            results = self._segmenter.step(frame, self._frames.peek() if self._engine.looks_ahead else None)
        self._frames_since_snapshot += 1
        return self._write_results(run, results)

    def _skip(self, run: Run) -> int:
        """Go past the next frame, which has no picture; count the results that waited for it."""
        num_results = self._write_results(run, self._segmenter.finish())
        self._segmenter.skip(self._memory.next_frame)
        self._skips_since_snapshot += 1
        return num_results

    def _write_results(self, run: Run, results: Sequence[FrameResult]) -> int:
        """Publish the results whose frames belong to the run; count them."""
        weights, words = convert.weights_label(self._engine.info), self._segmenter.words
        wanted = [result for result in results if result.frame_index >= run.first_frame]
        for result in wanted:
            revised = self._revised(result)
            warning = self._segmenter.warning_of(result)
            self._events.write(convert.result_to_event(revised, run.run_id, weights, words, warning))
        return len(wanted)

    def _run_backward(self) -> int:
        """Run the next frame of the run towards the beginning; count the results it gives."""
        run = self._memory.backward
        assert run is not None, "step() of a session that is not runnable"
        if run.next_frame < run.request.to_frame:
            return self._end_backward(run, "end" if run.request.to_frame == 0 else "to_frame")
        try:
            with self._metrics.stage_seconds.labels("model").time():
                results = self._backward.step()
        except VideoError as error:
            problem = convert.problem_of(error)
            num_results = self._write_backward(run, self._backward.finish())
            failed = min(run.request.first_frame, run.next_frame)
            self._say.frame_error(run, failed, problem)
            self._say.backward_done(run, "damaged", failed)
            self._say.closed("damaged")
            self._ending = Ending(SessionStatus.FAILED, problem)
            return num_results
        self._frames_since_snapshot += 1
        return self._write_backward(run, results)

    def _write_backward(self, run: BackwardRun, results: Sequence[FrameResult]) -> int:
        weights = convert.weights_label(self._engine.info)
        for result in results:
            event = convert.result_to_event(self._revised(result), run.run_id, weights)
            self._events.write(event.model_copy(update={"direction": "backward"}))
        return len(results)

    def _revised(self, result: FrameResult) -> FrameResult:
        return revised(result, prompts_of(self._memory.effects))

    # --- end -------------------------------------------------------------------------------------------------

    def fail(self, problem: Problem) -> None:
        """End the session because it cannot go on; `settle` tells the store."""
        answered = max(self.claim.state.next_frame, self._first_unanswered)
        self._events.skip_to_published()
        self._drop_pushed("failed", answered)
        self._is_snapshot_due = False
        self._say.failed(problem)
        self._say.closed("failed")
        self._ending = Ending(SessionStatus.FAILED, problem)

    def hand_over(self) -> None:
        """Save everything so that another worker can go on at once."""
        if self._camera is not None:
            self._camera.close()
        if self._ending is None and not self.is_over:
            self._save_snapshot()
            self._store.release(self.claim.lease)

    def _end_run(self, run: Run, reason: RunReason) -> int:
        """End the run at its last frame; the session ends with it, unless its client steers it by `propagate`.

        Returns:
            The number of results that had waited for later frames.
        """
        if not self._is_pushed and self._inbox.has_more:
            return 0  # they came in time: first see what they say
        num_results = self._write_results(run, self._segmenter.finish())
        if reason in {"end", "source_lost"}:
            self._say.refused_beyond_the_end(prompts_of(self._memory.effects), self._memory.next_frame)
        if reason == "end":
            self._backward.forget_beyond(self._memory.next_frame)
        is_followed = self._backward.has_next
        if self._is_pushed or (self.claim.spec.auto_start and not is_followed):
            self._end(reason)
            return num_results
        self._say.run_done(run, reason, self._memory.next_frame, is_followed=is_followed)
        self._memory.run = None
        self._is_snapshot_due = True
        self._idle_since_s = time.monotonic()
        return num_results

    def _end_backward(self, run: BackwardRun, reason: RunReason) -> int:
        """End the run towards the beginning; count the results that had waited for frames above its last."""
        if self._inbox.has_more:
            return 0
        num_results = self._write_backward(run, self._backward.finish())
        is_followed = self._backward.has_next
        self._say.backward_done(run, reason, run.request.to_frame - 1, is_followed=is_followed)
        self._is_snapshot_due = True
        self._idle_since_s = time.monotonic()
        return num_results

    def _go_on(self) -> None:
        """Between two runs: begin the next one that waits; else end a session that nobody steers, or that is idle."""
        memory = self._memory
        if self._is_pushed or memory.run is not None or memory.backward is not None or not memory.last_run_id:
            return
        if not self._begin_backward():
            if self.claim.spec.auto_start:
                self._end("end")
            else:
                self._end_if_idle()

    def _break_off(self, run: Run, problem: Problem) -> int:
        num_results = self._write_results(run, self._segmenter.finish())
        self._say.frame_error(run, max(self._memory.next_frame, run.first_frame), problem)
        self._say.run_done(run, "damaged", self._memory.next_frame)
        self._say.closed("damaged")
        self._ending = Ending(SessionStatus.FAILED, problem)
        return num_results

    def _end(self, reason: RunReason | Literal["idle"]) -> None:
        self._drop_pushed(reason, self._first_unanswered)
        if self._memory.run is not None and reason != "idle":
            self._say.run_done(self._memory.run, reason, self._first_unanswered)
        if self._memory.backward is not None and reason != "idle":
            self._say.backward_done(self._memory.backward, reason, self._backward.first_unanswered)
        self._say.closed(reason)
        self._is_snapshot_due = False
        status = {"closed": SessionStatus.CLOSED, "source_lost": SessionStatus.FAILED}.get(reason, SessionStatus.DONE)
        self._ending = Ending(status, self._memory.source_problem if reason == "source_lost" else None)

    def _end_if_idle(self) -> None:
        """End a file session whose client has said nothing since its last run; the gateway ends the other kinds."""
        if time.monotonic() - self._idle_since_s > self._settings.session_ttl_s:
            self._end("idle")

    def _drop_pushed(self, reason: str, first_frame: int) -> None:
        """Take no more frames, and answer those that were taken and will not be run: `first_frame` and later."""
        if self.claim.spec.video is None:
            for frame_index in range(first_frame, self._store.end_input(self.claim.lease)):
                self._say.frame_dropped(max(1, self._memory.last_run_id), frame_index, reason)
        self._memory.pushed = []
        self._inbox.clear()

    def _save_snapshot(self) -> None:
        lines = self._events.unpublished
        self._memory.unpublished = [line.decode() for line in lines]
        with self._metrics.stage_seconds.labels("snapshot").time():
            self._backward.save()
            data = self._segmenter.save()
            self._store.save_snapshot(
                self.claim.lease,
                Snapshot(
                    next_frame=self._segmenter.first_needed_frame,
                    log_id=self._memory.log_id,
                    seq=self._events.last_seq - len(lines),
                    data=data,
                ),
            )
        self._metrics.snapshot_bytes.observe(len(data))
        self._is_snapshot_due = False
        self._frames_since_snapshot = self._skips_since_snapshot = 0
        if self._frames is not None:
            self._frames.forget(before=self._segmenter.first_needed_frame)
