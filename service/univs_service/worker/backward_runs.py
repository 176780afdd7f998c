"""Runs towards the beginning of a stored video: which wait, which goes on, and the segmenter of the one that does.

Such a run follows some objects from a frame on which they were prompted down to an earlier one. It has a segmenter of
its own, so the one that goes forward stays where it stands. What it needs is in the session's memory, so a worker that
takes over goes on with it.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from univs.inference.backward import TimeMirror
from univs.inference.segmenter import VideoSegmenter
from univs.types import Frame, FrameResult
from univs.video import KeyFrame, open_video
from univs_service.messages import Following, PromptIn
from univs_service.worker.convert import prompt_from_message
from univs_service.worker.engine import Engine
from univs_service.worker.memory import BackwardRequest, BackwardRun, SessionMemory, prompts_of
from univs_service.worker.stuff import stuff_of


class BackwardRuns:
    """Keep `memory.backward`, `memory.backward_waiting` and the segmenter of the run that goes on in step."""

    def __init__(
        self,
        engine: Engine,
        memory: SessionMemory,
        frame_size: tuple[int, int],
        following: Following,
        video: Path | None,
    ) -> None:
        """Run nothing yet.

        Args:
            engine: the network.
            memory: of the session.
            frame_size: (height, width) in pixels.
            following: what the session chose.
            video: the stored video; opened by the first frame. None for live frames, which are not kept.
        """
        self._engine = engine
        self._memory = memory
        self._frame_size = frame_size
        self._following = following
        self._path = video
        self._segmenter: VideoSegmenter | None = None
        self._frames: Iterator[Frame] | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the objects of the run use."""
        return 0 if self._segmenter is None else self._segmenter.num_bytes

    def ask(self, request: BackwardRequest) -> None:
        """Put a run behind those that wait; ones of the same objects that it covers are left out."""
        memory = self._memory
        memory.backward_waiting = [known for known in memory.backward_waiting if not request.covers(known)] + [request]

    @property
    def has_next(self) -> bool:
        """Whether a run waits that has an object to follow."""
        return any(self._made(request, 0) is not None for request in self._memory.backward_waiting)

    def begin(self, run_id: int) -> bool:
        """Begin the first run that waits and still has an object to follow; False when there is none."""
        memory = self._memory
        assert memory.backward is None, "one run at a time"
        while memory.backward_waiting and memory.backward is None:
            memory.backward = self._made(memory.backward_waiting.pop(0), run_id)
        if memory.backward is None:
            return False
        self._segmenter = self._engine.open(self._frame_size, self._following)
        self._give(memory.backward)
        return True

    def step(self) -> list[FrameResult]:
        """Segment the next frame; give the results it completes, those of frames that only bring objects up left out.

        Raises:
            VideoError: when the frame cannot be decoded.
        """
        run, segmenter = self._current
        frame = next(self._open_frames(run))
        assert frame.index == run.next_frame, f"expected frame {run.next_frame}, got {frame.index}"
        mirror = TimeMirror(run.request.start_frame)
        results = self._engine.step(segmenter, mirror.frame(frame))
        run.next_frame -= 1
        return self._turned(run, results)

    def finish(self) -> list[FrameResult]:
        """End the run: give the results that waited for frames which will not come."""
        run, segmenter = self._current
        results = self._turned(run, self._engine.finish(segmenter))
        self._drop()
        return results

    def pause(self) -> None:
        """Let a run forward go first: this one begins anew after it, with the frames that have no result yet."""
        run, segmenter = self._current
        first_waiting = TimeMirror(run.request.start_frame).frame_index(segmenter.first_waiting_frame)
        first_frame = min(run.request.first_frame, first_waiting)
        self._drop()
        if first_frame >= run.request.to_frame:
            request = run.request.model_copy(update={"first_frame": first_frame})
            self._memory.backward_waiting.insert(0, request)

    @property
    def first_unanswered(self) -> int:
        """Say which frame of the run has its event next."""
        run, segmenter = self._current
        first_waiting = TimeMirror(run.request.start_frame).frame_index(segmenter.first_waiting_frame)
        return min(run.request.first_frame, first_waiting)

    def remove_object(self, object_id: int) -> None:
        """Forget an object, in the run that goes on too."""
        if self._segmenter is None or self._memory.backward is None:
            return
        run = self._memory.backward
        if any(prompt.object_id == object_id for prompt in run.prompts):
            run.prompts = [prompt for prompt in run.prompts if prompt.object_id != object_id]
            self._segmenter.remove_object(object_id)

    def forget_beyond(self, num_frames: int) -> None:
        """Let the runs that wait begin inside the video, which has turned out to have so many frames."""
        last = num_frames - 1
        self._memory.backward_waiting = [
            request.model_copy(
                update={"start_frame": min(last, request.start_frame), "first_frame": min(last, request.first_frame)}
            )
            for request in self._memory.backward_waiting
        ]

    def save(self) -> None:
        """Put the state of the segmenter into the memory; frames without a result will be seen again."""
        if self._memory.backward is not None and self._segmenter is not None:
            self._memory.backward.state = self._engine.save(self._segmenter)

    def restore(self) -> None:
        """Go on with a run as the memory tells.

        Raises:
            SnapshotError: when the state does not fit the weights.
        """
        run = self._memory.backward
        if run is None:
            return
        self._segmenter = self._engine.restore(run.state, self._following)
        run.state = b""
        run.next_frame = TimeMirror(run.request.start_frame).frame_index(self._segmenter.next_frame)
        self._give(run)

    def close(self) -> None:
        """Close the file."""
        self._frames = None

    @property
    def _current(self) -> tuple[BackwardRun, VideoSegmenter]:
        run, segmenter = self._memory.backward, self._segmenter
        assert run is not None, "begin() comes first"
        assert segmenter is not None, "begin() comes first"
        return run, segmenter

    def _made(self, request: BackwardRequest, run_id: int) -> BackwardRun | None:
        """Give the run of a request as things stand; None where it has no object, or no frame."""
        prompts = [
            prompt
            for prompt in prompts_of(self._memory.effects)
            if prompt.frame_index <= request.start_frame
            and (request.object_ids is None or prompt.object_id in request.object_ids)
        ]
        start = max((prompt.frame_index for prompt in prompts), default=-1)  # nothing is known above it
        first = min(request.first_frame, start)
        if first < request.to_frame:
            return None
        wanted = request.model_copy(update={"start_frame": start, "first_frame": first})
        return BackwardRun(run_id=run_id, request=wanted, next_frame=start, prompts=prompts)

    def _give(self, run: BackwardRun) -> None:
        """Hand over the prompts for frames that are still to come."""
        assert self._segmenter is not None, "it was opened"
        mirror = TimeMirror(run.request.start_frame)
        self._segmenter.stuff = stuff_of(self._segmenter, self._engine.categories, self._following, run.prompts)
        for message in run.prompts:
            if message.frame_index <= run.next_frame:
                self._segmenter.add_prompt(mirror.prompt(prompt_from_message(message, self._frame_size)))

    def _open_frames(self, run: BackwardRun) -> Iterator[Frame]:
        if self._frames is None:
            assert self._path is not None, "the gateway refuses to go back in live frames"
            keyframe = self._memory.keyframe
            video = open_video(self._path, () if keyframe is None else (KeyFrame(*keyframe),))
            self._frames = video.frames_backward(run.next_frame)
        return self._frames

    def _turned(self, run: BackwardRun, results: list[FrameResult]) -> list[FrameResult]:
        mirror = TimeMirror(run.request.start_frame)
        turned = [mirror.result(result) for result in results]
        return [result for result in turned if result.frame_index <= run.request.first_frame]

    def _drop(self) -> None:
        self._segmenter = None
        self._memory.backward = None
        self._frames = None


def revised(result: FrameResult, prompts: list[PromptIn]) -> FrameResult:
    """Say of each prompted object how many prompts it had been given, for whatever frame, when this one was run."""
    counts: dict[int, int] = {}
    for prompt in prompts:
        counts[prompt.object_id] = counts.get(prompt.object_id, 0) + 1
    objects = tuple(
        replace(answer, revision=counts.get(answer.object_id, answer.revision)) for answer in result.objects
    )
    return replace(result, objects=objects)
