"""The frames of one session on their way to the segmenter, kept for as long as a worker may need to see them again."""

from pathlib import Path

from univs.types import Frame
from univs_service.messages import PushFrame, VideoSource
from univs_service.store import paths
from univs_service.store.records import SessionSpec
from univs_service.worker.frames import FileFrames, PushedFrames
from univs_service.worker.memory import SessionMemory


class SessionFrames:
    """Read frame after frame, from a stored video or from the folder of pushed ones."""

    def __init__(self, data_dir: Path, spec: SessionSpec, memory: SessionMemory) -> None:
        """Open the source.

        Args:
            data_dir: of the service.
            spec: of the session.
            memory: what the session remembers; it says where to go on, and is told what was read.
        Raises:
            VideoError: when the video cannot be read.
        """
        self._memory = memory
        self._source: FileFrames | PushedFrames
        if not isinstance(spec.source, VideoSource):  # a camera's frames are pushed by its worker
            folder = paths.frames_folder(data_dir, spec.session_id)
            self._source = PushedFrames(folder, spec.frame_width, spec.frame_height)
        else:
            path = paths.video_file(data_dir, spec.principal, spec.source.video_id)
            self._source = FileFrames(path, memory.keyframe)

    def read(self, first_waiting: int) -> Frame | None:
        """Give the next frame; None at the end.

        Args:
            first_waiting: the first frame that has no result; from there on frames may be asked for again.
        Raises:
            DamagedVideoError: when the video breaks off before it.
            BadFrameError: when a pushed frame is not what was said of it.
        """
        memory = self._memory
        if isinstance(self._source, FileFrames):
            frame = self._source.read(memory.next_frame)
            memory.keyframe = self._source.keyframe_before(first_waiting)
            return frame
        if not memory.pushed:
            return None
        push = memory.pushed.pop(0)
        assert isinstance(push, PushFrame), "refused and dropped frames have no picture"
        frame = self._source.read(push)
        memory.waiting = [*(seen for seen in memory.waiting if seen.frame_index >= first_waiting), push]
        return frame

    def peek(self) -> Frame | None:
        """Give the frame after the one that was read last, if it is there already and can be read."""
        if isinstance(self._source, FileFrames):
            return self._source.peek()
        match self._memory.pushed:
            case [PushFrame() as push, *_]:
                return self._source.peek(push)
        return None

    def forget(self, before: int) -> None:
        """Delete the files of pushed frames before an index."""
        if isinstance(self._source, PushedFrames):
            self._source.forget(before)

    def close(self) -> None:
        """Close the file."""
        if isinstance(self._source, FileFrames):
            self._source.close()
