"""What a worker holds of one session, and what commands change in it; `live_session` runs it."""

import logging
import time

from univs.errors import InputError, UnknownObjectError
from univs_service.errors import InvalidInputError, PromptOutOfRangeError, WorkerFailedError
from univs_service.messages import Configure, PromptIn, Propagate, RtspSource, VideoSource
from univs_service.metrics import WorkerMetrics
from univs_service.settings import Settings
from univs_service.store import paths
from univs_service.store.records import Claim
from univs_service.store.worker_store import WorkerStore
from univs_service.worker import convert
from univs_service.worker.backward_runs import BackwardRuns
from univs_service.worker.camera import Camera
from univs_service.worker.engine import Engine
from univs_service.worker.event_log import EventLog
from univs_service.worker.inbox import Inbox
from univs_service.worker.memory import BackwardRequest, Run, SessionMemory, prompts_of
from univs_service.worker.result_times import ResultTimes
from univs_service.worker.session_events import Ending, SessionEvents
from univs_service.worker.session_frames import SessionFrames
from univs_service.worker.session_segmenter import SessionSegmenter
from univs_service.worker.spool import Spool

logger = logging.getLogger(__name__)


class HeldSession:
    """Memory, segmenters, frames and events of one session."""

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
        self._backward = self._open_backward()
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
            self._backward = self._open_backward()
            self._backward.restore()
            self._events.write_again([line.encode() for line in self._memory.unpublished])
        self._inbox = Inbox(self._store, self.session_id, self._memory.log_id)
        self._frames = SessionFrames(self._settings.data_dir, self.claim.spec, self._memory)

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
        return self._segmenter.num_bytes + self._backward.num_bytes

    @property
    def _first_unanswered(self) -> int:
        return self._segmenter.first_waiting_frame

    def close(self) -> None:
        """Close files; the session itself goes on elsewhere, or has ended."""
        self._spool.close()
        if self._camera is not None:
            self._camera.close()
        if self._frames is not None:
            self._frames.close()
        self._backward.close()

    # --- what commands change --------------------------------------------------------------------------------

    def _add_prompt(self, prompt: PromptIn) -> None:
        is_correction = self._segmenter.is_past(prompt.frame_index)
        try:
            if self._is_pushed:
                self._check_live(prompt, is_correction=is_correction)
            revision = self._segmenter.add_prompt(prompt)
        except (InputError, InvalidInputError) as error:
            self._say.refused(prompt, convert.problem_of(error))
            return
        self._say.applied(prompt, revision)
        if is_correction and prompt.direction != "backward":
            run = self._memory.run
            unanswered = max(self._first_unanswered, run.first_frame if run else 0)
            first_frame = min(prompt.frame_index, unanswered)
            to_frame = run.to_frame if run else self._memory.next_frame - 1  # what was seen
            self._start_run(first_frame, to_frame, is_correction=True)
        if prompt.direction != "forward":
            self._ask_backward(
                prompt.frame_index, None, [prompt.object_id], is_after_forward=prompt.direction == "both"
            )

    def _check_live(self, prompt: PromptIn, *, is_correction: bool) -> None:
        if is_correction:
            raise PromptOutOfRangeError(
                f"expected a prompt for frame {self._memory.next_frame} or later, got frame {prompt.frame_index}: "
                "pushed frames cannot be gone back to; prompt a frame that is still to come"
            )
        if prompt.direction != "forward":
            raise InvalidInputError(
                f"expected direction forward in a session with live frames, got {prompt.direction}: frames that have "
                "passed are not kept; upload the video and make a session on it"
            )

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
            return
        self._backward.remove_object(object_id)
        self._say.removed(object_id, self._first_unanswered)

    def _propagate(self, wanted: Propagate) -> None:
        memory, from_frame, to_frame = self._memory, wanted.from_frame, wanted.to_frame
        if wanted.direction != "forward":
            self._ask_backward(from_frame, to_frame, wanted.object_ids, is_after_forward=wanted.direction == "both")
        if wanted.direction == "backward":
            if memory.run is None:
                self._begin_backward()
            return
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
        if memory.backward is not None:  # it begins anew after this one
            self._say.backward_done(memory.backward, "superseded", self._backward.first_unanswered)
            self._backward.pause()
        memory.last_run_id += 1
        self._segmenter.begin(first_frame, is_correction=is_correction)
        memory.run = Run(run_id=memory.last_run_id, first_frame=first_frame, to_frame=to_frame)

    def _ask_backward(
        self, from_frame: int | None, to_frame: int | None, object_ids: list[int] | None, *, is_after_forward: bool
    ) -> None:
        """Want a run towards the beginning, when the run that goes on has ended.

        Args:
            from_frame: where it begins; None for the last frame with a prompt.
            to_frame: its last; None for the first of the session.
            object_ids: of the objects in it; None for all.
            is_after_forward: a run forward gives its first frame.
        """
        if self._is_pushed:  # the gateway refuses it
            return
        prompted = [
            prompt.frame_index
            for prompt in prompts_of(self._memory.effects)
            if object_ids is None or prompt.object_id in object_ids
        ]
        start = max(prompted, default=-1) if from_frame is None else from_frame
        lowest = min(self.claim.spec.from_frame, start) if to_frame is None else to_frame
        self._backward.ask(
            BackwardRequest(
                start_frame=start,
                first_frame=start - 1 if is_after_forward else start,
                to_frame=max(0, lowest),
                object_ids=object_ids,
            )
        )

    def _begin_backward(self) -> bool:
        """Begin the next run towards the beginning that waits; False when there is none."""
        memory = self._memory
        if memory.backward is None and self._backward.begin(memory.last_run_id + 1):
            memory.last_run_id += 1
            return True
        return False

    def _open_backward(self) -> BackwardRuns:
        spec = self.claim.spec
        video = None
        if isinstance(spec.source, VideoSource):
            video = paths.video_file(self._settings.data_dir, spec.principal, spec.source.video_id)
        frame_size = (spec.frame_height, spec.frame_width)
        return BackwardRuns(self._engine, self._memory, frame_size, spec.following, video)
