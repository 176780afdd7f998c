"""Read a camera into its session's log, as if a client pushed its frames: a thread, and a child process that decodes.

So everything that holds for pushed frames holds for a camera: their order is the log's, a worker that takes over
repeats them, each has one terminal event. What the session cannot take in time is dropped by number. The thread ends
with the lease: a stale owner's frames are refused by the store.
"""

import logging
import random
import signal
import subprocess
import threading
import time
from contextlib import suppress

from univs_service.bound_process import bound_command
from univs_service.errors import InputUnavailableError, LeaseLostError, ServiceError, StoreUnavailableError
from univs_service.media_process import error_of
from univs_service.messages import (
    CameraBack,
    CameraCommand,
    CameraGone,
    CameraLost,
    DropFrame,
    FrameCommand,
    InputEnd,
    PushFrame,
    RtspSource,
)
from univs_service.rtsp_child import PACKET, PTS_PER_S
from univs_service.rtsp_process import ROOM, camera_command, camera_greeting, find_camera
from univs_service.settings import Settings
from univs_service.store import paths
from univs_service.store.records import Claim
from univs_service.store.worker_store import WorkerStore

logger = logging.getLogger(__name__)

_MOST_WAITING = 2  # one picture in the model's hands, and the newest after it
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 5.0
_STORE_PAUSE_S = 0.2
_FAREWELL_S = 2.0


class Camera:
    """Feed the frames of one camera into its session, and come back to it when it is lost."""

    def __init__(self, claim: Claim, source: RtspSource, store: WorkerStore, settings: Settings) -> None:
        """Know the camera; `start` connects to it."""
        self._claim = claim
        self._source = source
        self._store = store
        self._settings = settings
        self._size = (claim.spec.frame_width, claim.spec.frame_height)
        self._folder = paths.frames_folder(settings.data_dir, claim.spec.session_id)
        self._next_index = claim.state.next_push
        self._last_pts = -1
        self._waiting: list[int] = []  # frames with a picture that the session has not run
        self._is_lost = False
        self._seen_s = 0.0
        self._stop = threading.Event()
        self._lock = threading.Lock()  # of what the session's thread and ours both touch: `_waiting` and `_child`
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def start(self, *, is_lost: bool) -> None:
        """Begin to read; nothing happens when it has begun already. A camera that was lost is said to be back."""
        if self._thread.ident is None:
            self._is_lost = is_lost
            self._seen_s = time.monotonic()
            self._thread.start()

    def make_room(self, next_frame: int) -> None:
        """Say that the session has run the frames before this one."""
        with self._lock:
            left = [index for index in self._waiting if index >= next_frame]
            num_free, self._waiting = len(self._waiting) - len(left), left
            if self._child is not None:
                _say(self._child, num_free * ROOM)

    def close(self) -> None:
        """Leave the camera; waits for the thread, unless a name server holds it up."""
        self._stop.set()
        with self._lock:
            if self._child is not None:
                self._child.kill()
        if self._thread.ident is not None:
            self._thread.join(_FAREWELL_S)

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        num_failures = 0
        while not self._stop.is_set():
            first_index = self._next_index
            problem = self._watch()
            if self._stop.is_set():
                return
            num_failures = 1 if self._next_index > first_index else num_failures + 1
            if not self._go_on_after(problem):
                return
            wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**num_failures)
            self._stop.wait(random.uniform(0, wait_s))

    def _go_on_after(self, error: ServiceError | None) -> bool:
        """Tell the session what became of the camera (None: it has ended in order); say whether to try again."""
        if error is None and self._source.retry_for_s == 0:
            self._feed(InputEnd())
            return False
        error = error or InputUnavailableError("expected the camera to go on, but it ended the stream; check it")
        if time.monotonic() - self._seen_s >= self._source.retry_for_s:
            self._feed(CameraGone(problem=error.to_problem()))
            return False
        if not self._is_lost:
            self._is_lost = True
            logger.info("camera lost", extra={"session_id": self._claim.spec.session_id, "reason": error.detail})
            self._feed(CameraLost(problem=error.to_problem()))
        return True

    def _watch(self) -> ServiceError | None:
        """Read the camera until it ends; give the reason, None when it ended in order."""
        try:
            greeting = camera_greeting(find_camera(self._source.url, self._settings))
        except ServiceError as error:
            return error
        command = bound_command(camera_command(self._settings, self._size), signal.SIGKILL)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            with self._lock:
                self._child = None if self._stop.is_set() else child
                _say(child, greeting + max(0, _MOST_WAITING - len(self._waiting)) * ROOM)
            try:
                if self._child is not None:
                    self._take_all(child)
            finally:
                with self._lock:
                    self._child = None
                child.kill()
            assert child.stderr is not None
            complaint = child.stderr.read()
        return error_of(child.returncode, complaint) if complaint or child.returncode > 0 else None

    def _take_all(self, child: "subprocess.Popen[bytes]") -> None:
        assert child.stdout is not None
        if not child.stdout.readline():  # what the camera shows; the session knows its size already
            return
        num_bytes = 3 * self._size[0] * self._size[1]
        shift: int | None = None
        while len(packet := child.stdout.read(PACKET.size)) == PACKET.size:
            has_picture, camera_pts = PACKET.unpack(packet)
            picture = child.stdout.read(num_bytes) if has_picture else None
            if picture is not None and len(picture) < num_bytes:
                return
            if shift is None:
                shift = round((time.time() - self._claim.spec.created_at) * PTS_PER_S) - camera_pts
            pts = max(shift + camera_pts, self._last_pts + 1)
            if not self._take(pts, picture):
                return

    def _take(self, pts: int, picture: bytes | None) -> bool:
        """Give one frame to the session; say whether it takes more."""
        self._seen_s = time.monotonic()
        if self._is_lost:
            self._is_lost = False
            self._feed(CameraBack(frame_index=self._next_index))
        command = self._to_command(pts, picture)
        if not self._feed(command):
            return False
        self._last_pts = pts
        self._next_index += 1
        return True

    def _to_command(self, pts: int, picture: bytes | None) -> FrameCommand:
        index = self._next_index
        if picture is None:
            return DropFrame(frame_index=index, reason="overload")
        name = paths.frame_name(index, "raw")
        partial = self._folder / f"{name}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(picture)
            partial.replace(self._folder / name)
        except OSError as error:
            logger.warning("frame not kept", extra={"reason": str(error)})
            with self._lock:
                assert self._child is not None, "it just gave a picture"
                _say(self._child, ROOM)
            return DropFrame(frame_index=index, reason="storage_full")
        with self._lock:
            self._waiting.append(index)
        return PushFrame(frame_index=index, pts=pts, name=name, encoding="raw")

    def _feed(self, command: FrameCommand | CameraCommand | InputEnd) -> bool:
        """Append to the session's log, as soon as the store answers; False once the session takes nothing more."""
        while not self._stop.is_set():
            try:
                return self._store.feed(self._claim.lease, command)
            except StoreUnavailableError:
                self._stop.wait(_STORE_PAUSE_S)
            except LeaseLostError:
                self._stop.set()
        return False


def _say(child: "subprocess.Popen[bytes]", words: bytes) -> None:
    assert child.stdin is not None
    with suppress(OSError):  # it has ended: its reader learns of it
        child.stdin.write(words)
        child.stdin.flush()
