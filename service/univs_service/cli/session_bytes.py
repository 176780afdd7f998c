"""`univs bench session-bytes`: what a session keeps, counted and by the formula of docs/memory.md. Nothing is timed."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from univs.inference.memory_size import MemorySize
    from univs.types import Frame
    from univs_service.worker.engine import Engine

_FOLLOWED = 40  # objects that are added, run and removed together


@dataclass(frozen=True, slots=True)
class ByteCount:
    """What a session keeps at one moment."""

    moment: str
    num_objects: int
    counted_bytes: int  # the tensors themselves
    formula_bytes: int


def session_bytes(
    model: Annotated[str, typer.Option(help="Weights.")] = "tiny",
    at: Annotated[
        list[int] | None, typer.Option(min=1, help="Frames after which to count; repeat.", show_default="100 and 1000")
    ] = None,
    objects: Annotated[int, typer.Option(min=1, max=64, help="Objects followed.")] = 2,
    churn: Annotated[int, typer.Option(min=0, help="Objects added and removed after the last frame.")] = 1000,
    size: Annotated[str, typer.Option(help="Height x width of the frames.", metavar="HxW")] = "64x96",
    short_side: Annotated[
        int | None, typer.Option(min=32, help="Short side the network sees, in pixels.", show_default="320")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: torch decides.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures, with machine and commit.")
    ] = None,
) -> None:
    """Count the bytes that a session keeps after many frames, and after many objects were added and removed."""
    from univs_service.cli.bench import read_size, write_json
    from univs_service.cli.failures import reported

    with reported():
        from rich.console import Console
        from rich.table import Table

        from univs_service.cli.machine import this_machine
        from univs_service.cli.runs import load_engine

        engine = load_engine(model, "cpu", threads, short_side)
        counts, parts = count_bytes(engine, read_size(size), sorted(at or (100, 1000)), objects, churn)
        machine = this_machine()
        table = Table("after", "objects", "counted, bytes", "formula, bytes", title=f"{model}, commit {machine.commit}")
        for count in counts:
            table.add_row(count.moment, str(count.num_objects), f"{count.counted_bytes:,}", f"{count.formula_bytes:,}")
        console = Console()
        console.print(table)
        console.print(
            f"of one object: {parts.pool_bytes:,} of tokens, {parts.track_bytes:,} of its track; "
            f"of the session: {parts.frame_bytes:,}"
        )
        if json_file is not None:
            write_json(json_file, machine, model=model, size=read_size(size), counts=counts, parts=asdict(parts))


def count_bytes(
    engine: "Engine", frame_size: tuple[int, int], stops: list[int], num_objects: int, num_churned: int
) -> tuple[list[ByteCount], "MemorySize"]:
    """Run one session on noise and count what it keeps.

    Args:
        engine: the network.
        frame_size: (height, width) in pixels.
        stops: numbers of frames, ascending.
        num_objects: followed from the first frame on.
        num_churned: objects that are added and removed after the last stop.
    Returns:
        The counts, and the parts of the formula.
    """
    from univs.inference.memory_size import MemorySize
    from univs.types import BoxPrompt

    segmenter = engine.open(frame_size)
    parts = MemorySize.of(segmenter.model.config, segmenter.options, segmenter.framing)
    for object_id in range(1, num_objects + 1):
        segmenter.add_prompt(BoxPrompt(object_id, 0, (0.1, 0.1, 0.6, 0.8)))
    counts: list[ByteCount] = []

    def count(moment: str) -> None:
        followed = len(segmenter.object_ids)
        counts.append(ByteCount(moment, followed, segmenter.num_bytes, parts.session_bytes(followed)))

    for stop in stops:
        while segmenter.next_frame < stop:
            engine.step(segmenter, _noise(segmenter.next_frame, frame_size))
        count(f"{stop:,} frames")
    next_id = num_objects + 1
    last_id = num_objects + num_churned
    while next_id <= last_id:
        added = range(next_id, min(next_id + _FOLLOWED, last_id + 1))
        for object_id in added:
            segmenter.add_prompt(BoxPrompt(object_id, segmenter.next_frame, (0.2, 0.2, 0.7, 0.7)))
        engine.step(segmenter, _noise(segmenter.next_frame, frame_size))
        if next_id == num_objects + 1:
            count(f"{len(added)} objects added")
        for object_id in added:
            segmenter.remove_object(object_id)
        next_id = added.stop
    if num_churned:
        count(f"{num_churned:,} objects added and removed")
    return counts, parts


def _noise(index: int, frame_size: tuple[int, int]) -> "Frame":
    from fractions import Fraction

    import torch

    from univs.types import Frame

    generator = torch.Generator().manual_seed(index % 101)
    image = torch.randint(0, 256, (3, *frame_size), dtype=torch.uint8, generator=generator)
    return Frame(index, index, Fraction(1, 25), image)
