"""One session at a time against a running service: time to first mask, frames per second, time between results.

    python loadtests/one_session.py --url http://127.0.0.1:8000 --runs 5 --output one_session.json

What is measured lies between this process and the service: upload, queue, decoding, network, masks, websocket.
README.md beside this file says what the figures prove.
"""

import argparse
import asyncio
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from univs_service.cli.demo_clip import prompts_for, write_clip
from univs_service.cli.machine import Machine, this_machine
from univs_service.cli.prompt_options import PromptSyntaxError, read_prompts
from univs_service.client import AsyncUniVSClient, ClientError
from univs_service.messages import FrameResultEvent, PromptIn, Video


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """One session, in seconds by the clock of this process."""

    first_mask_s: float  # from sending the request for a session to the first result with an object
    result_times_s: tuple[float, ...]  # of every result, counted from the same moment
    weights: str

    @property
    def between_results_s(self) -> list[float]:
        """Seconds from each result to the next."""
        times = self.result_times_s
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    @property
    def frames_per_s(self) -> float:
        """Results per second once they flow: the wait for the first one is left out."""
        return (len(self.result_times_s) - 1) / (self.result_times_s[-1] - self.result_times_s[0])


@dataclass(frozen=True, slots=True)
class Report:
    """What is written; `sessions` holds the raw samples, so that any other figure can be made from them."""

    machine: Machine
    url: str
    video: str
    size: tuple[int, int]  # height, width
    num_objects: int
    weights: str
    upload_s: float
    num_warmups: int  # sessions before these, left out
    first_mask_s: tuple[float, float, float]  # least, median, most over the sessions
    frames_per_s: tuple[float, float, float]
    between_results_p50_s: float  # over all sessions
    between_results_p95_s: float
    sessions: tuple[SessionTimes, ...]


async def time_session(client: AsyncUniVSClient, video: Video, prompts: Sequence[PromptIn]) -> SessionTimes:
    """Run one session to its end and leave it."""
    start = time.perf_counter()
    session = await client.create_session(video, prompts)
    times: list[float] = []
    first_mask_s, weights = math.nan, "unknown"
    async with client.stream(session) as events:
        async for event in events:
            if isinstance(event, FrameResultEvent):
                times.append(time.perf_counter() - start)
                if event.objects and math.isnan(first_mask_s):
                    first_mask_s = times[-1]
                weights = event.weights
    await client.delete(session)
    if len(times) < 2:
        raise SystemExit(f"expected a clip of at least 2 frames, got {len(times)} results; give a longer one")
    return SessionTimes(first_mask_s, tuple(times), weights)


async def measure(arguments: argparse.Namespace, path: Path, prompts: Sequence[PromptIn]) -> Report:
    """Upload the clip once, then run the sessions one after the other."""
    async with AsyncUniVSClient(arguments.url) as client:
        start = time.perf_counter()
        video = await client.upload(path)
        upload_s = time.perf_counter() - start
        for _ in range(arguments.warmups):
            await time_session(client, video, prompts)
        sessions = [await time_session(client, video, prompts) for _ in range(arguments.runs)]
    between = sorted(seconds for session in sessions for seconds in session.between_results_s)
    return Report(
        machine=this_machine(),
        url=arguments.url,
        video=path.name,
        size=(video.height, video.width),
        num_objects=len({prompt.object_id for prompt in prompts}),
        weights=sessions[0].weights,
        upload_s=upload_s,
        num_warmups=arguments.warmups,
        first_mask_s=_spread([session.first_mask_s for session in sessions]),
        frames_per_s=_spread([session.frames_per_s for session in sessions]),
        between_results_p50_s=_quantile(between, 0.50),
        between_results_p95_s=_quantile(between, 0.95),
        sessions=tuple(sessions),
    )


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--video", type=Path, help="a clip of your own, with --box; the demo's clip when left out")
    parser.add_argument("--box", action="append", default=[], help="OBJECT:x0,y0,x1,y1@FRAME, as in `univs segment`")
    parser.add_argument("--runs", type=int, default=5, help="sessions that count")
    parser.add_argument("--warmups", type=int, default=1, help="sessions before, left out")
    parser.add_argument("--output", type=Path, help="write the report as JSON, raw samples included")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            if arguments.video is None:
                path = Path(folder) / "demo.mp4"
                prompts = prompts_for(write_clip(path)[0])
            else:
                path, prompts = arguments.video, read_prompts([], arguments.box, [], [])
            report = asyncio.run(measure(arguments, path, prompts))
    except (ClientError, PromptSyntaxError) as error:
        sys.exit(f"one_session: {error}")
    _print(report)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
        print(f"written to {arguments.output}")


def _print(report: Report) -> None:
    height, width = report.size
    print(f"{report.machine.cpu}, {report.machine.num_cores} cores; commit {report.machine.commit}")
    print(f"{report.video} {width}x{height}, {report.num_objects} objects, weights: {report.weights}")
    print(f"{len(report.sessions)} sessions after {report.num_warmups} of warm-up; least / median / most")
    print("  first mask   s  {:.3f} / {:.3f} / {:.3f}".format(*report.first_mask_s))
    print("  frames per   s  {:.2f} / {:.2f} / {:.2f}".format(*report.frames_per_s))
    p50, p95 = report.between_results_p50_s * 1000, report.between_results_p95_s * 1000
    print(f"  between results, all sessions: p50 {p50:.1f} ms, p95 {p95:.1f} ms")


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return min(values), statistics.median(values), max(values)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Give the smallest value that at least `share` of the values do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


if __name__ == "__main__":
    main()
