"""The client, for programs without asyncio: it drives the asynchronous one in a thread of its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from anyio.from_thread import BlockingPortal, start_blocking_portal
from numpy.typing import NDArray

from univs_service.client.asynchronous import DEFAULT_URL, AsyncUniVSClient, Progress
from univs_service.client.stream import EventStream
from univs_service.messages import (
    Following,
    Limits,
    PromptIn,
    PushSource,
    RtspSource,
    Session,
    Spread,
    StreamEvent,
    Tasks,
    Video,
    Vocabulary,
)


class UniVSClient:
    """Speak to a UniVS service; `AsyncUniVSClient`, whose methods these are, tells what each does and raises.

    Example:
        with UniVSClient() as client:
            session = client.create_session(Path("dog.mp4"), [box(1, 40, 60, 200, 300)])
            for event in client.stream(session):
                ...
    """

    def __init__(self, url: str = DEFAULT_URL, *, retry_for_s: float = 60.0) -> None:
        self._open = ExitStack()
        self._portal: BlockingPortal = self._open.enter_context(start_blocking_portal())
        self._client = self._portal.call(partial(AsyncUniVSClient, url, retry_for_s=retry_for_s))
        self._open.callback(self._portal.call, self._client.aclose)

    def upload(self, path: Path, progress: Progress | None = None) -> Video:
        """Store a video; `progress` is called on another thread."""
        return self._portal.call(self._client.upload, path, progress)

    def fetch(self, url: str, timeout_s: float = 900.0) -> Video:
        """Let the service fetch a video itself, where its operator allows it."""
        return self._portal.call(self._client.fetch, url, timeout_s)

    def video(self, video_id: str) -> Video:
        """Read the description of a stored video."""
        return self._portal.call(self._client.video, video_id)

    def create_session(
        self,
        source: Video | PushSource | RtspSource | Path | str,
        prompts: Sequence[PromptIn] = (),
        *,
        task: Tasks | None = None,
        vocabulary: Vocabulary | None = None,
        model: str | None = None,
        from_frame: int = 0,
        to_frame: int | None = None,
        auto_start: bool = True,
        following: Following | None = None,
    ) -> Session:
        """Open a session on a stored video, a file, frames to be pushed, or a camera."""
        return self._portal.call(
            partial(
                self._client.create_session,
                source,
                prompts,
                task=task,
                vocabulary=vocabulary,
                model=model,
                from_frame=from_frame,
                to_frame=to_frame,
                auto_start=auto_start,
                following=following,
            )
        )

    def session(self, session: Session | str) -> Session:
        """Read the state of a session."""
        return self._portal.call(self._client.session, session)

    def add_prompt(self, session: Session | str, prompt: PromptIn) -> None:
        """Add a prompt."""
        self._portal.call(self._client.add_prompt, session, prompt)

    def configure(self, session: Session | str, task: Tasks | None = None, vocabulary: Vocabulary | None = None) -> str:
        """Ask for other tasks, or look for more categories; give the id of `config.applied`."""
        return self._portal.call(self._client.configure, session, task, vocabulary)

    def remove_object(self, session: Session | str, object_id: int) -> None:
        """Forget an object from the next step on."""
        self._portal.call(self._client.remove_object, session, object_id)

    def propagate(
        self,
        session: Session | str,
        from_frame: int | None = None,
        to_frame: int | None = None,
        *,
        direction: Spread = "forward",
        object_ids: Sequence[int] | None = None,
    ) -> None:
        """Run from a frame to a frame, inclusive, forward, backward or both."""
        self._portal.call(
            partial(self._client.propagate, session, from_frame, to_frame, direction=direction, object_ids=object_ids)
        )

    def delete(self, session: Session | str) -> None:
        """Stop a session; what results it has can still be read."""
        self._portal.call(self._client.delete, session)

    def stream(
        self, session: Session | str, *, last_seq: int = 0, until_closed: bool = False, window: int = 32
    ) -> "SyncEventStream":
        """Give the session's events as they come: each once, in order, over dropped connections."""
        stream = self._portal.call(
            partial(self._client.stream, session, last_seq=last_seq, until_closed=until_closed, window=window)
        )
        return SyncEventStream(stream, self._portal)

    def results(self, session: Session | str) -> Iterator[StreamEvent]:
        """Give every event there is so far, from the start, and end."""
        events = self._client.results(session)
        try:
            while True:
                try:
                    yield self._portal.call(events.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            self._portal.call(events.aclose)

    def export(
        self,
        session: Session | str,
        format_name: str,
        target: Path,
        *,
        names: Mapping[int, str] | None = None,
        file_name: str = "video",
    ) -> Path:
        """Have the results so far as a file for another tool."""
        return self._portal.call(
            partial(self._client.export, session, format_name, target, names=names, file_name=file_name)
        )

    def limits(self) -> Limits:
        """Read what the service accepts."""
        return self._portal.call(self._client.limits)

    def is_ready(self) -> bool:
        """Whether a service answers here and can take sessions now."""
        return self._portal.call(self._client.is_ready)

    def close(self) -> None:
        """Close the connections and end the thread; sessions go on."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SyncEventStream:
    """An `EventStream` for programs without asyncio; one thread may iterate while another pushes."""

    def __init__(self, stream: EventStream, portal: BlockingPortal) -> None:
        self._stream = stream
        self._portal = portal

    @property
    def last_seq(self) -> int:
        """Number of the last event handed out."""
        return self._stream.last_seq

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamEvent:
        try:
            return self._portal.call(self._stream.__anext__)
        except StopAsyncIteration:
            self.close()
            raise StopIteration from None

    def push_frame(self, frame_index: int, image: NDArray[np.uint8] | bytes, pts: int | None = None) -> None:
        """Send a frame of a push session."""
        self._portal.call(self._stream.push_frame, frame_index, image, pts)

    def end_input(self) -> None:
        """Say that no more frames come."""
        self._portal.call(self._stream.end_input)

    def add_prompt(self, prompt: PromptIn) -> None:
        """Add a prompt over this socket."""
        self._portal.call(self._stream.add_prompt, prompt)

    def configure(self, task: Tasks | None = None, vocabulary: Vocabulary | None = None) -> str:
        """Ask for other tasks over this socket, or for more categories; give the id of `config.applied`."""
        return self._portal.call(self._stream.configure, task, vocabulary)

    def close(self) -> None:
        """Close the socket; the session goes on without it."""
        self._portal.call(self._stream.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
