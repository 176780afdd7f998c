"""`univs bench`: how fast the network runs here, and how much memory a long session takes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from univs_service.cli.isolation import isolation
from univs_service.cli.session_bytes import session_bytes

if TYPE_CHECKING:
    from univs_service.cli.machine import Machine
    from univs_service.cli.measure import MemorySample, Speed

bench = typer.Typer(
    add_completion=False,
    help="Measure frames per second, by stage, and the memory of a long session.",
    rich_markup_mode=None,
)

_MEBIBYTE = 2**20
_JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures, with machine and commit.")]
_ShortSideOption = Annotated[
    int | None, typer.Option(min=32, help="Short side the network sees, in pixels.", show_default="320")
]
_SizeOption = Annotated[str, typer.Option(help="Height x width of the video.", metavar="HxW")]


@bench.callback(invoke_without_command=True)
def speed(
    context: typer.Context,
    model: Annotated[list[str] | None, typer.Option(help="Weights; repeat for several.", show_default="nano")] = None,
    objects: Annotated[int, typer.Option(min=1, max=64, help="Objects followed.")] = 2,
    size: _SizeOption = "360x640",
    short_side: _ShortSideOption = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: torch decides.")] = 0,
    frames: Annotated[int, typer.Option(min=1, help="Frames that count.")] = 30,
    warmups: Annotated[int, typer.Option(min=0, help="Frames before them, left out.")] = 3,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...", show_default="cpu")] = None,
    json_file: _JsonOption = None,
) -> None:
    """Run a video of the demo's scenes through each network, one frame a step, as a worker does."""
    if context.invoked_subcommand is not None:
        return
    from univs_service.cli.failures import reported

    with reported():
        import tempfile

        from univs_service.cli.machine import this_machine
        from univs_service.cli.measure import matmul_peak, measure_speed, write_video
        from univs_service.cli.runs import load_engine

        height, width = read_size(size)
        speeds: list[Speed] = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bench.mp4"
            write_video(path, (height, width), warmups + frames)
            for name in model or ["nano"]:
                engine = load_engine(name, device, threads, short_side)
                speeds.append(measure_speed(engine, path, num_objects=objects, num_warmups=warmups))
                del engine
        peak = matmul_peak()
    machine = this_machine()
    _print_speeds(machine, speeds, peak)
    if json_file is not None:
        write_json(json_file, machine, matmul_gflops=peak, speeds=speeds)


@bench.command()
def memory(
    model: Annotated[str, typer.Option(help="Weights.")] = "tiny",
    frames: Annotated[int, typer.Option(min=202, help="Length of the session.")] = 3000,
    objects: Annotated[int, typer.Option(min=1, max=64, help="Objects followed.")] = 2,
    size: _SizeOption = "180x320",
    short_side: _ShortSideOption = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: torch decides.")] = 0,
    json_file: _JsonOption = None,
) -> None:
    """Follow objects through one long video, and show the process's memory after 100 frames and after the last."""
    from univs_service.cli.failures import reported

    with reported():
        import tempfile

        from univs_service.cli.machine import this_machine
        from univs_service.cli.measure import measure_memory, write_video
        from univs_service.cli.runs import load_engine

        engine = load_engine(model, "cpu", threads, short_side)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bench.mp4"
            write_video(path, read_size(size), frames)
            samples = measure_memory(engine, path, num_objects=objects, sample_at=(100, frames // 2, frames))
    machine = this_machine()
    _print_memory(machine, model, samples)
    if json_file is not None:
        write_json(json_file, machine, model=model, num_objects=objects, size=read_size(size), samples=samples)


bench.command("session-bytes")(session_bytes)
bench.command()(isolation)


def _print_speeds(machine: "Machine", speeds: "list[Speed]", peak: dict[int, float]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=_title(machine))
    table.add_column("")
    for speed_ in speeds:
        table.add_column(speed_.model, justify="right")

    def row(label: str, *cells: str) -> None:
        table.add_row(label, *cells)

    row("weights", *(s.weights for s in speeds))
    row("parameters", *(f"{s.num_parameters / 1e6:.2f} M" for s in speeds))
    row("video, objects", *(f"{s.size[0]}x{s.size[1]}, {s.num_objects}" for s in speeds))
    row("network sees", *(f"{s.padded_size[0]}x{s.padded_size[1]}" for s in speeds))
    row("threads, device", *(f"{'2 x ' if s.looks_ahead else ''}{s.threads}, {s.device}" for s in speeds))
    row("frames (warm-up left out)", *(f"{s.num_frames} ({s.num_warmups})" for s in speeds))
    row("seconds", *(f"{s.elapsed_s:.2f}" for s in speeds))
    row("frames/s", *(f"{s.frames_per_s:.2f}" for s in speeds))
    row("ms per frame p50 / p95", *(f"{s.p50_s * 1e3:.1f} / {s.p95_s * 1e3:.1f}" for s in speeds))
    row("ms of a frame alone", *(f"{s.alone_s * 1e3:.1f}" for s in speeds))
    for stage in dict.fromkeys(stage for s in speeds for stage in s.stages_s):
        row(f"  {stage}, ms", *(f"{s.stages_s.get(stage, 0.0) * 1e3:.1f}" for s in speeds))
    table.add_section()
    for part in speeds[0].split_s:
        row(
            f"{part}, ms (share)",
            *(f"{s.split_s[part] * 1e3:.1f} ({s.split_s[part] / s.alone_s:.0%})" for s in speeds),
        )
    table.add_section()
    row("resident memory, MiB", *(f"{s.resident_bytes / _MEBIBYTE:.0f}" for s in speeds))
    row("session keeps, KiB", *(f"{s.session_bytes / 1024:.0f}" for s in speeds))
    console = Console()
    console.print(table)
    sides = ", ".join(f"{gflops:.0f} at {side}" for side, gflops in peak.items())
    console.print(f"matmul peak of this run, float32 GFLOP/s: {max(peak.values()):.0f} ({sides})")


def _print_memory(machine: "Machine", model: str, samples: "list[MemorySample]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("frames", "resident, MiB", "session keeps, KiB", "seconds", title=f"{model}: {_title(machine)}")
    for sample in samples:
        table.add_row(
            str(sample.num_frames),
            f"{sample.resident_bytes / _MEBIBYTE:.1f}",
            f"{sample.session_bytes / 1024:.1f}",
            f"{sample.elapsed_s:.1f}",
        )
    console = Console()
    console.print(table)
    growth = samples[-1].resident_bytes - samples[0].resident_bytes
    console.print(
        f"{growth / _MEBIBYTE:+.1f} MiB ({growth / samples[0].resident_bytes:+.2%}) from frame "
        f"{samples[0].num_frames} to {samples[-1].num_frames}"
    )


def _title(machine: "Machine") -> str:
    return f"{machine.cpu}, {machine.num_cores} cores, commit {machine.commit}"


def read_size(text: str) -> tuple[int, int]:
    """Read HxW; even sides of at least 32, as the video's encoding wants."""
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()) or min(int(height), int(width)) < 32:
        raise typer.BadParameter(f"expected HEIGHTxWIDTH of at least 32 each, for example 360x640, got {text!r}")
    if int(height) % 2 or int(width) % 2:
        raise typer.BadParameter(f"expected an even height and width, got {text!r}")
    return int(height), int(width)


def write_json(path: Path, machine: "Machine", **figures: object) -> None:
    """Write figures beside the machine and the commit that gave them."""
    import json
    from dataclasses import asdict, is_dataclass

    def plain(value: object) -> object:
        return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value

    figures = {name: [plain(v) for v in value] if isinstance(value, list) else value for name, value in figures.items()}
    path.write_text(json.dumps({"machine": asdict(machine)} | figures, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"written to {path}")
