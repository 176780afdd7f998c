"""`univs data`: what lies in a folder of a data set, and what is missing."""

from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="List and check data sets in their official layouts.",
    rich_markup_mode=None,
)

_SHOWN = 10  # missing files named per split


@data.command("list")
def list_data() -> None:
    """Show the names of the data sets and their splits."""
    from univs_service.cli.failures import reported

    with reported():
        from univs.data.benchmarks import BENCHMARKS

        for name, benchmark in BENCHMARKS.items():
            typer.echo(f"{name}: {', '.join(benchmark.splits)}")


@data.command("check")
def check_data(
    name: Annotated[str, typer.Argument(help="Name of the data set; `univs data list` shows them.")],
    root: Annotated[Path, typer.Argument(help="The folder in which it was unpacked.")],
) -> None:
    """Open every split, read its first frame, and name the files that are missing.

    Exit status 1 when no split can be used, or one that is there lacks files.

    univs data check davis2017 data/DAVIS
    """
    from univs_service.cli.failures import reported

    with reported():
        from univs.data.benchmarks import check_benchmark

        checks = check_benchmark(name, root)
        for check in checks:
            counts = f"{check.num_videos} videos, {check.num_frames} frames, {check.num_files} files"
            if check.is_complete:
                typer.echo(f"{check.split}: complete, {counts}")
            elif check.missing:
                typer.echo(f"{check.split}: {len(check.missing)} files missing of {counts}")
                for path in check.missing[:_SHOWN]:
                    typer.echo(f"  {path}")
            else:
                typer.echo(f"{check.split}: cannot be used: {check.problem}")
        if any(check.missing for check in checks) or not any(check.is_complete for check in checks):
            raise typer.Exit(1)
