"""The client, for asyncio. `synchronous.py` drives this one; there is no second implementation."""

import asyncio
import io
import json
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from univs_service.client.backoff import Backoff
from univs_service.client.errors import ConnectionLostError, ProblemError, raise_for_problem
from univs_service.client.stream import EventStream
from univs_service.client.wire import read_message
from univs_service.messages import (
    Configure,
    ErrorMessage,
    Following,
    Limits,
    Pong,
    PromptIn,
    Propagate,
    PushSource,
    Ready,
    RtspSource,
    Session,
    SessionIn,
    Spread,
    StreamEvent,
    Tasks,
    Video,
    VideoIn,
    VideoSource,
    Vocabulary,
)

DEFAULT_URL = "http://127.0.0.1:8000"
_TIMEOUT_S, _CONNECT_TIMEOUT_S = 60.0, 10.0
Progress = Callable[[int, int], None]  # bytes sent, bytes in all


class AsyncUniVSClient:
    """Speak to a UniVS service: videos up, prompts in, masks out.

    Example:
        async with AsyncUniVSClient() as client:
            session = await client.create_session(Path("dog.mp4"), [box(1, 40, 60, 200, 300)])
            async for event in client.stream(session):
                ...

    Methods raise `ProblemError` when the service refuses, `ConnectionLostError` when it does not answer.
    Requests that change nothing, and those that count once however often they arrive, are tried again for
    `retry_for_s`; the others are sent once.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        retry_for_s: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._retry_for_s = retry_for_s
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._http = httpx.AsyncClient(
            base_url=url,
            transport=transport,
            timeout=httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
            follow_redirects=False,
        )

    # --- videos -----------------------------------------------------------------------------------

    async def upload(self, path: Path, progress: Progress | None = None) -> Video:
        """Store a video and give its description; the same file again costs no second copy.

        Args:
            path: any file the service's decoder reads.
            progress: called with (bytes sent, bytes in all) as the file goes out.
        """
        with _CountingReader(path, progress) as reader:
            answer = await self._request("POST", "/v1/videos", files={"video": (path.name, reader)})
        return Video.model_validate_json(answer.content)

    async def fetch(self, url: str, timeout_s: float = 900.0) -> Video:
        """Let the service fetch a video itself: http(s)://... or s3://bucket/key, where its operator allows it."""
        body = VideoIn(url=url).model_dump_json()
        answer = await self._request("POST", "/v1/videos", content=body, timeout_s=timeout_s)
        return Video.model_validate_json(answer.content)

    async def video(self, video_id: str) -> Video:
        """Read the description of a stored video."""
        answer = await self._request("GET", f"/v1/videos/{quote(video_id, safe='')}", retry=True)
        return Video.model_validate_json(answer.content)

    # --- sessions ---------------------------------------------------------------------------------

    async def create_session(
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
        """Open a session; it starts once prompts are there, unless `auto_start` is off.

        Args:
            source: a stored video or its id, a path (uploaded first), a `PushSource` for frames to push, or an
                `RtspSource` for a camera.
            prompts: see `univs_service.client.prompts` for short ways to write them.
            task: what is asked for, one or several; following the prompts when left out.
            vocabulary: for vis, vss and vps: the name of a vocabulary, or names of categories.
            model: name of the weights; the service's default when left out.
            from_frame: where to start.
            to_frame: last frame, inclusive; the end when left out.
            auto_start: off to wait for `propagate`.
            following: isolation and the like, `Following(isolation="joint")`; as the weights say when left out.
        """
        if isinstance(source, Path):
            source = await self.upload(source)
        if isinstance(source, Video):
            source = source.video_id
        body = SessionIn(
            source=VideoSource(video_id=source) if isinstance(source, str) else source,
            task=task,
            vocabulary=vocabulary,
            model=model,
            prompts=list(prompts),
            from_frame=from_frame,
            to_frame=to_frame,
            auto_start=auto_start,
            **dict(following or Following()),
        )
        answer = await self._request("POST", "/v1/sessions", content=body.model_dump_json(exclude_none=True))
        return Session.model_validate_json(answer.content)

    async def session(self, session: Session | str) -> Session:
        """Read the state of a session."""
        answer = await self._request("GET", _path(session), retry=True)
        return Session.model_validate_json(answer.content)

    async def add_prompt(self, session: Session | str, prompt: PromptIn) -> None:
        """Add a prompt; the stream's `prompt.applied` says from which frame on it counts."""
        body = prompt.model_dump_json(exclude_none=True)
        has_id = prompt.prompt_id is not None
        await self._request("POST", f"{_path(session)}/prompts", content=body, retry=has_id)

    async def configure(
        self, session: Session | str, task: Tasks | None = None, vocabulary: Vocabulary | None = None
    ) -> str:
        """Ask for other tasks, or look for more categories; give the id that the stream's `config.applied` will bear.

        Args:
            session: that runs, or waits for its start.
            task: instead of what was asked for; left out, that stays.
            vocabulary: names to look for besides those that are looked for.
        """
        wish = Configure(task=task, vocabulary=vocabulary, config_id=uuid4().hex)
        body = wish.model_dump_json(exclude={"type"}, exclude_none=True)
        await self._request("POST", f"{_path(session)}/config", content=body, retry=True)
        return str(wish.config_id)

    async def remove_object(self, session: Session | str, object_id: int) -> None:
        """Forget an object from the next step on; the others are not touched."""
        await self._request("DELETE", f"{_path(session)}/objects/{object_id}", retry=True)

    async def propagate(
        self,
        session: Session | str,
        from_frame: int | None = None,
        to_frame: int | None = None,
        *,
        direction: Spread = "forward",
        object_ids: Sequence[int] | None = None,
    ) -> None:
        """Run from a frame to a frame, inclusive.

        Args:
            session: on a stored video; live frames only run forward.
            from_frame: left out, where the session stands; backward, the last frame with a prompt.
            to_frame: left out, the end; backward, the session's first frame.
            direction: forward, backward or both.
            object_ids: backward, of these objects alone.
        """
        ids = None if object_ids is None else list(object_ids)
        wanted = Propagate(from_frame=from_frame, to_frame=to_frame, direction=direction, object_ids=ids)
        body = wanted.model_dump_json(exclude={"type"}, exclude_none=True)
        await self._request("POST", f"{_path(session)}/propagate", content=body)

    async def delete(self, session: Session | str) -> None:
        """Stop a session; what results it has can still be read. Doing it twice is no error."""
        await self._request("DELETE", _path(session), retry=True)

    # --- results ----------------------------------------------------------------------------------

    def stream(
        self, session: Session | str, *, last_seq: int = 0, until_closed: bool = False, window: int = 32
    ) -> EventStream:
        """Give the session's events as they come: each once, in order, over dropped connections.

        Args:
            session: of this service.
            last_seq: the last event already held; the stream starts after it.
            until_closed: go on after `run.done`, until the session is closed.
            window: events that may be under way unacknowledged; a slow reader slows the session down.
        """
        url = self._http.base_url.join(f"{_path(session)}/stream".lstrip("/"))
        stream = EventStream(
            str(url.copy_with(scheme="wss" if url.scheme == "https" else "ws")),
            last_seq=last_seq,
            until_closed=until_closed,
            retry_for_s=self._retry_for_s,
            window=window,
        )
        self._streams.add(stream)
        return stream

    async def results(self, session: Session | str) -> AsyncGenerator[StreamEvent, None]:
        """Give every event there is so far, from the start, and end; needs no open stream."""
        try:
            async with self._http.stream("GET", f"{_path(session)}/results") as response:
                await raise_for_problem(response)
                async for line in response.aiter_lines():
                    message = read_message(line) if line else None
                    if message is not None and not isinstance(message, Ready | Pong | ErrorMessage):
                        yield message
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    async def export(
        self,
        session: Session | str,
        format_name: str,
        target: Path,
        *,
        names: Mapping[int, str] | None = None,
        file_name: str = "video",
    ) -> Path:
        """Have the results so far as a file for another tool.

        Args:
            session: running or ended.
            format_name: `coco_rle`, `davis` ...; docs/exports.md.
            target: the file to write; it appears when it is complete.
            names: of objects, by id.
            file_name: of the video, as the file shall call it.
        """
        options: dict[str, str | int | list[str]] = {
            "file_name": file_name,
            "name": [f"{number}:{name}" for number, name in (names or {}).items()],
        }
        partial = target.with_name(f".partial-{target.name}")
        try:
            while (
                preparing := await self._download(f"{_path(session)}/exports/{format_name}", options, partial)
            ) is not None:
                options["to_seq"] = preparing["to_seq"]  # of a session that runs on, what there was at first
                await asyncio.sleep(preparing["retry_after_ms"] / 1000)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    async def _download(
        self, path: str, options: Mapping[str, str | int | list[str]], target: Path
    ) -> dict[str, int] | None:
        """Write an answer to a file, or give what the service says while it prepares it."""
        try:
            async with self._http.stream("GET", path, params=options) as response:
                await raise_for_problem(response)
                if response.status_code == 202:
                    preparing: dict[str, int] = json.loads(await response.aread())
                    return preparing
                with target.open("wb") as file:
                    async for block in response.aiter_bytes():
                        await asyncio.to_thread(file.write, block)
                return None
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    # --- the service ------------------------------------------------------------------------------

    async def limits(self) -> Limits:
        """Read what the service accepts."""
        return Limits.model_validate_json((await self._request("GET", "/v1/limits", retry=True)).content)

    async def is_ready(self) -> bool:
        """Whether a service answers here and can take sessions now; never raises, never waits long."""
        try:
            return (await self._http.get("/readyz", timeout=2.0)).is_success
        except httpx.TransportError:
            return False

    async def aclose(self) -> None:
        """Close the connections, streams too; sessions go on."""
        for stream in list(self._streams):
            await stream.aclose()
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # --- requests ---------------------------------------------------------------------------------

    async def _request(
        self,
        method: str,
        path: str,
        *,
        retry: bool = False,
        content: str | None = None,
        files: Mapping[str, tuple[str, IO[bytes]]] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> httpx.Response:
        """Send a request; `retry` only what may arrive twice without harm."""
        headers = {"content-type": "application/json"} if content is not None else None
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_TIMEOUT_S)
        backoff = Backoff(self._retry_for_s if retry else 0.0)
        while True:
            try:
                response = await self._http.request(
                    method, path, content=content, files=files, headers=headers, timeout=timeout
                )
                await raise_for_problem(response)
                return response
            except httpx.TransportError as error:
                failure: ConnectionLostError | ProblemError = self._unreachable(error)
            except ProblemError as error:
                if not error.is_retryable:
                    raise
                failure = error
            wait_s = backoff.next_wait_s()
            if wait_s is None:
                raise failure
            await asyncio.sleep(wait_s)

    def _unreachable(self, error: httpx.TransportError) -> ConnectionLostError:
        return ConnectionLostError(
            f"no service answers at {self._http.base_url} ({error or type(error).__name__}); "
            "start one with `univs serve`, or give the right URL"
        )


class _CountingReader(io.BufferedReader):
    """A file, opened for reading, that tells how much of it has been read."""

    def __init__(self, path: Path, progress: Progress | None) -> None:
        super().__init__(io.FileIO(path))
        self._size_bytes = path.stat().st_size
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        if self._progress is not None:
            self._progress(self.tell(), self._size_bytes)
        return chunk


def _path(session: Session | str) -> str:
    session_id = session if isinstance(session, str) else session.session_id
    return f"/v1/sessions/{quote(session_id, safe='')}"
