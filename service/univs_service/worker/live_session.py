"""One session in the worker's hands: its commands, its frames, its segmenter, its events.

What it does is a function of its command log and its frames, so a worker that takes over repeats what the last one did
after its snapshot. Two rules make it so. Frames of a file and commands meet at a moment that only this process knows:
therefore a snapshot follows the commands before their consequences are published. Pushed frames are commands
themselves: there the order of the log says everything.
"""

import logging
import time
from collections.abc import Sequence
from typing import Literal

from univs.errors import DamagedVideoError, InputError, UnknownObjectError
from univs.types import FrameResult
from univs_service.errors import BadFrameError, InvalidInputError, PromptOutOfRangeError, WorkerFailedError
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
    PromptIn,
    Propagate,
    PushFrame,
    RefuseFrame,
    RemoveObject,
    RtspSource,
    SessionStatus,
)
from univs_service.metrics import WorkerMetrics
from univs_service.settings import Settings
from univs_service.store import paths
from univs_service.store.records import Claim, Snapshot
from univs_service.store.worker_store import WorkerStore
from univs_service.worker import convert
from univs_service.worker.camera import Camera
from univs_service.worker.engine import Engine
from univs_service.worker.event_log import EventLog
from univs_service.worker.inbox import Inbox, Received
from univs_service.worker.memory import Run, SessionMemory, prompts_of
from univs_service.worker.result_times import ResultTimes
from univs_service.worker.session_events import Ending, RunReason, SessionEvents
from univs_service.worker.session_frames import SessionFrames
from univs_service.worker.session_segmenter import SessionSegmenter
from univs_service.worker.spool import Spool

logger = logging.getLogger(__name__)

_SKIPS_A_SNAPSHOT = 256  # frames without a result cost little to repeat, but their commands fill the log


class LiveSession:
    """Run one session. After a failure of the store, the same calls go on where they stopped."""

    def __init__(
        self, claim: Claim, engine: Engine, store: WorkerStore, settings: Settings, metrics: WorkerMetrics
    ) -> None:
        """Read what the last owner left; `open` comes next."""
        self.claim = claim
        self.session_id = claim.lease.session_id
        self.is_over = False
        self._engine = engine
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._snapshot = store.read_snapshot(self.session_id)
        spool = Spool(paths.results_file(settings.data_dir, self.session_id), claim.state.last_seq)
        self._spool = spool
        self._events = EventLog(
            store,
            claim.lease,
            spool,
            last_seq=self._snapshot.seq if self._snapshot else 0,
            published_seq=claim.state.last_seq,
        )
        self._say = SessionEvents(self._events, metrics)
        self._memory = SessionMemory()
        frame_size = (claim.spec.frame_height, claim.spec.frame_width)
        self._is_still = claim.spec.video is not None and claim.spec.video.is_still
        self._segmenter = SessionSegmenter.begin_session(
            engine, self._memory, frame_size, claim.spec.following, is_still=self._is_still
        )
        self._inbox = Inbox(store, self.session_id, self._memory.log_id)
        self._frames: SessionFrames | None = None
        self._is_pushed = claim.spec.video is None  # by its client, or from a camera
        source = claim.spec.source
        self._camera = Camera(claim, source, store, settings) if isinstance(source, RtspSource) else None
        self._is_snapshot_due = False
        self._frames_since_snapshot = self._skips_since_snapshot = 0
        self._ending: Ending | None = None
        self._idle_since_s = time.monotonic()
        self._result_times = ResultTimes(metrics)

    def open(self) -> None:
        """Open the video and the segmenter, where the last owner's snapshot says.

        Raises:
            WorkerFailedError: when workers die of this session again and again.
            VideoError: when the video cannot be read.
            SnapshotError: when the snapshot is of other weights.
        """
        if self.claim.state.takeovers > self._settings.max_takeovers:
            raise WorkerFailedError(
                f"expected this session to go on, but {self._settings.max_takeovers} workers ended while they ran it; "
                "try another video, or a smaller one"
            )
        if self._snapshot is not None:
            self._memory, prompted, entities = SessionMemory.unpack(self._snapshot.data)
            self._segmenter = SessionSegmenter.resume_session(
                self._engine, self._memory, prompted, entities, self.claim.spec.following, is_still=self._is_still
            )
            self._events.write_again([line.encode() for line in self._memory.unpublished])
        self._inbox = Inbox(self._store, self.session_id, self._memory.log_id)
        self._frames = SessionFrames(self._settings.data_dir, self.claim.spec, self._memory)

    # --- what the loop asks ----------------------------------------------------------------------------------

    @property
    def log_id(self) -> str:
        """The last command that was read."""
        return self._inbox.read_to

    @property
    def num_objects(self) -> int:
        """Objects with prompts, and entities that are followed."""
        return self._segmenter.num_objects

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the objects use."""
        return self._segmenter.num_bytes

    @property
    def is_runnable(self) -> bool:
        """Whether there is a frame to run, and nothing that must be stored first."""
        if self.is_over or not self._is_settled or self._memory.run is None:
            return False
        return not self._is_pushed or bool(self._memory.pushed) or self._memory.is_input_ended

    @property
    def is_failing(self) -> bool:
        """Whether the session ends because something went wrong."""
        return self._ending is not None and self._ending.status is SessionStatus.FAILED

    @property
    def _first_unanswered(self) -> int:
        return self._segmenter.first_waiting_frame

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
        self._end_if_idle()

    def _may_consume(self) -> bool:
        """Whether the next command's place among the frames has come."""
        memory = self._memory
        if self._is_pushed:
            return memory.run is None or not memory.pushed
        return self._events.is_caught_up and not memory.is_silent

    def _apply(self, item: Received) -> None:
        match item.command:
            case AddPrompt(prompt=prompt):
                self._add_prompt(prompt)
                self._metrics.prompt_applied_seconds.observe(time.monotonic() - item.read_s)
            case Configure():
                self._configure(item.command)
            case RemoveObject(object_id=object_id):
                self._remove_object(object_id)
            case Propagate(from_frame=from_frame, to_frame=to_frame):
                self._propagate(from_frame, to_frame)
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

    def _add_prompt(self, prompt: PromptIn) -> None:
        is_correction = self._segmenter.is_past(prompt.frame_index)
        try:
            if is_correction and self._is_pushed:
                raise PromptOutOfRangeError(
                    f"expected a prompt for frame {self._memory.next_frame} or later, got frame {prompt.frame_index}: "
                    "pushed frames cannot be gone back to; prompt a frame that is still to come"
                )
            revision = self._segmenter.add_prompt(prompt)
        except (InputError, InvalidInputError) as error:
            self._say.refused(prompt, convert.problem_of(error))
            return
        self._say.applied(prompt, revision)
        if is_correction:
            run = self._memory.run
            unanswered = max(self._first_unanswered, run.first_frame if run else 0)
            first_frame = min(prompt.frame_index, unanswered)
            self._start_run(first_frame, run.to_frame if run else None, is_correction=True)

    def _configure(self, command: Configure) -> None:
        segmenter, memory = self._segmenter, self._memory
        try:
            segmenter.configure(command)
        except (InputError, InvalidInputError) as error:
            self._say.config_refused(command.config_id, convert.problem_of(error))
            return
        frame_index = max(memory.next_frame, 0 if memory.has_stepped else self.claim.spec.from_frame)
        num_names = 0 if segmenter.words is None else len(segmenter.words)
        self._say.config_applied(command.config_id, frame_index, segmenter.tasks, num_names, segmenter.warning)

    def _remove_object(self, object_id: int) -> None:
        try:
            self._segmenter.remove_object(object_id)
        except UnknownObjectError as error:  # it is gone: what was asked for is so already
            logger.info("object unknown", extra={"session_id": self.session_id, "reason": str(error)})

    def _propagate(self, from_frame: int | None, to_frame: int | None) -> None:
        memory = self._memory
        if memory.run is not None and (from_frame is None or self._is_pushed):
            memory.run.to_frame = None if to_frame is None else max(to_frame, memory.next_frame - 1)  # what was seen
            return
        stands_at = memory.next_frame if memory.has_stepped else self.claim.spec.from_frame
        first_frame = stands_at if from_frame is None or self._is_pushed else from_frame
        self._start_run(first_frame, to_frame, is_correction=False)

    def _start_run(self, first_frame: int, to_frame: int | None, *, is_correction: bool) -> None:
        memory = self._memory
        if memory.run is not None:
            self._say.run_done(memory.run, "superseded", self._first_unanswered)
        memory.last_run_id += 1
        self._segmenter.begin(first_frame, is_correction=is_correction)
        memory.run = Run(run_id=memory.last_run_id, first_frame=first_frame, to_frame=to_frame)

    # --- run -------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Run one frame and publish what it gives."""
        run = self._memory.run
        assert run is not None, "step() of a session that is not runnable"
        started_s = time.monotonic()
        num_results = 0
        if run.to_frame is not None and self._memory.next_frame > run.to_frame:
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
            results = self._segmenter.step(frame)
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
            self._events.write(convert.result_to_event(result, run.run_id, weights, words, self._segmenter.warning))
        return len(wanted)

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

    def close(self) -> None:
        """Close files; the session itself goes on elsewhere, or has ended."""
        self._spool.close()
        if self._camera is not None:
            self._camera.close()
        if self._frames is not None:
            self._frames.close()

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
        if self.claim.spec.auto_start or self._is_pushed:
            self._end(reason)
            return num_results
        self._say.run_done(run, reason, self._memory.next_frame)
        self._memory.run = None
        self._is_snapshot_due = True
        self._idle_since_s = time.monotonic()
        return num_results

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
        self._say.closed(reason)
        self._is_snapshot_due = False
        status = {"closed": SessionStatus.CLOSED, "source_lost": SessionStatus.FAILED}.get(reason, SessionStatus.DONE)
        self._ending = Ending(status, self._memory.source_problem if reason == "source_lost" else None)

    def _end_if_idle(self) -> None:
        """End a file session whose client has said nothing since its last run; the gateway ends the other kinds."""
        memory = self._memory
        is_waiting = not self._is_pushed and memory.run is None and memory.last_run_id > 0
        if is_waiting and time.monotonic() - self._idle_since_s > self._settings.session_ttl_s:
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
