"""`univs demo`: masks on a clip that needs no file of the user's, compared with the truth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from univs_service.cli.runs import Run
    from univs_service.exports.masks import BoolMask
    from univs_service.messages import FrameResultEvent

_CLIP, _OVERLAY, _RESULTS = "clip.mp4", "overlay.mp4", "results.json"
_EVERY = 4  # rows of the table: one frame in so many


def demo(
    url: Annotated[
        str | None, typer.Option(help="Service to use; else the one on this machine, else in process.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the clip and the masks.")] = Path(
        "univs-demo"
    ),
    model: Annotated[str | None, typer.Option(help="Weights by name or path.", show_default="nano")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ...; in process only.", show_default="cpu")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=0, help="CPU threads, 0: torch decides; in process only.", show_default="0")
    ] = None,
) -> None:
    """Segment a clip made from photographs that ship with scikit-image, and tell how right the masks are.

    A coffee cup slides over a photograph and passes in front of a space shuttle. The prompts are a
    box around the cup and a click on the shuttle in the first frame; the true masks are known,
    because the clip is put together here.
    """
    from univs_service.cli.failures import reported

    with reported():
        from contextlib import ExitStack

        from rich.console import Console

        from univs_service.cli.demo_clip import prompts_for, write_clip
        from univs_service.cli.report import print_summary, write_results
        from univs_service.cli.runs import LocalRun, ServiceRun, load_engine
        from univs_service.exports import open_export

        console = Console()
        output.mkdir(parents=True, exist_ok=True)
        clip = output / _CLIP
        truth = write_clip(clip)
        prompts = prompts_for(truth[0])
        service = url or _running_service()
        console.print(f"{clip}: {len(truth)} frames; segmented {'on ' + service if service else 'in this process'}")
        if service is not None:
            run: Run = ServiceRun(service, clip, prompts, model=model, to_frame=None, needs_image=True, console=console)
        else:
            run = LocalRun(load_engine(model, device, threads), clip, prompts, None)
        comparison = Comparison([frame.masks for frame in truth])
        targets = [output / _OVERLAY, output / _RESULTS]
        with run, ExitStack() as opened:
            sinks = [opened.enter_context(open_export(target, run.video)) for target in targets]
            summary = write_results(run, sinks, console, comparison.add)
        comparison.print_to(console)
        print_summary(console, summary, targets)


class Comparison:
    """Intersection over union of each object with its true mask, frame by frame."""

    def __init__(self, truth: "list[dict[int, BoolMask]]") -> None:
        self._truth = truth
        self.ious: dict[int, list[float]] = {object_id: [] for object_id in truth[0]}
        self._rows: list[list[str]] = []

    def add(self, result: "FrameResultEvent") -> None:
        """Compare the masks of one frame; an object without an answer counts as an empty mask."""
        from univs_service.exports import decode_mask

        answers = {answer.object_id: answer for answer in result.objects}
        row = [str(result.frame_index)]
        for object_id, true_mask in self._truth[result.frame_index].items():
            answer = answers.get(object_id)
            mask = decode_mask(answer.mask) if answer is not None else true_mask & False
            iou = intersection_over_union(mask, true_mask)
            self.ious[object_id].append(iou)
            row += [f"{iou:.3f}", "-" if answer is None else f"{answer.score:.2f}", answer.state if answer else "-"]
        if result.frame_index % _EVERY == 0:
            self._rows.append(row)

    def print_to(self, console: "Console") -> None:
        """Show one frame in four, and the means over all of them."""
        from rich.table import Table

        from univs_service.cli.demo_clip import OBJECT_NAMES

        table = Table("frame", title="IoU with the known truth")
        for object_id in self.ious:
            for column in (f"{OBJECT_NAMES[object_id]} IoU", "score", "state"):
                table.add_column(column)
        for row in self._rows:
            table.add_row(*row)
        means = [sum(ious) / len(ious) if ious else 0.0 for ious in self.ious.values()]
        table.add_section()
        table.add_row("mean", *(cell for mean in means for cell in (f"{mean:.3f}", "", "")))
        console.print(table)


def intersection_over_union(mask: "BoolMask", true_mask: "BoolMask") -> float:
    """Give the IoU of two masks [H, W]; of two empty ones it is 1."""
    union = int((mask | true_mask).sum())
    return int((mask & true_mask).sum()) / union if union else 1.0


def _running_service() -> str | None:
    """Give the URL of the service on this machine's default port, if one is ready there."""
    from univs_service.client import DEFAULT_URL, UniVSClient

    with UniVSClient(DEFAULT_URL) as client:
        return DEFAULT_URL if client.is_ready() else None
