"""`univs segment`: masks of one video file, or of a still."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from univs_service.cli.runs import Run
    from univs_service.exports import ExportFormat

_STILLS = (".png", ".jpg", ".jpeg", ".webp")


def segment(
    video: Annotated[Path, typer.Argument(help="Any video that FFmpeg decodes; PNG, JPEG, WebP.", metavar="VIDEO")],
    task: Annotated[
        list[str] | None,
        typer.Option(help="vis, vss, vps: find categories; vos, pvos, refvos: follow prompts.", metavar="TASK"),
    ] = None,
    names: Annotated[str | None, typer.Option(help="Categories to find, things.", metavar='"person, dog"')] = None,
    stuff: Annotated[
        str | None, typer.Option(help="Categories to find that are not counted.", metavar='"sky, road"')
    ] = None,
    vocabulary: Annotated[
        str | None, typer.Option(help="The categories of a data set: coco, vipseg ...; docs/vocabularies.md.")
    ] = None,
    point: Annotated[
        list[str] | None, typer.Option(help="A click, x,y; with ,0 a click off the object.", metavar="OBJECT:X,Y")
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option(help="The rectangle around an object.", metavar="OBJECT:X0,Y0,X1,Y1")
    ] = None,
    mask: Annotated[
        list[str] | None, typer.Option(help="An object's pixels; black is outside.", metavar="OBJECT:FILE.png")
    ] = None,
    stuff_object: Annotated[
        list[str] | None,
        typer.Option(help="Say which category of stuff an object is; pvos.", metavar="OBJECT:CATEGORY"),
    ] = None,
    scribble: Annotated[
        list[str] | None, typer.Option(help="A stroke over an object.", metavar='"OBJECT:X,Y X,Y ..."')
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="An object in words, where the weights can.", metavar="OBJECT:WORDS")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="FILE.mp4 (overlay), FILE.png (last frame), FILE.json (RLE), a folder (indexed PNG) ...",
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="coco_rle, ytvis, davis ...; docs/exports.md.",
            show_default="as the name of the output says",
        ),
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Call an object something in the output.", metavar="OBJECT:NAME")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Use this service; in process when left out.")] = None,
    model: Annotated[str | None, typer.Option(help="Weights by name or path.", show_default="nano")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ...; in process only.", show_default="cpu")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=0, help="CPU threads, 0: torch decides; in process only.", show_default="0")
    ] = None,
    short_side: Annotated[
        int | None,
        typer.Option(
            min=32, help="Short side the network sees, pixels; in process only.", show_default="as the weights say"
        ),
    ] = None,
    to_frame: Annotated[int | None, typer.Option(min=0, help="Last frame, inclusive; the end when left out.")] = None,
) -> None:
    """Follow objects through a video, or find everything of some categories.

    A prompt is OBJECT:VALUE@FRAME: the object's number (1 when left out), where it is, and the
    frame from which it counts (0 when left out). Coordinates are pixels of the displayed frame,
    origin top-left. Options repeat; clicks on one object and frame count together.

    univs segment dog.mp4 --box 1:40,60,200,300 --point 2:320,80 --mask 3:cat.png@25 -o out.mp4
    univs segment street.jpg --task vps --vocabulary coco_panoptic -o street_masks.png
    """
    from univs_service.cli.failures import reported
    from univs_service.cli.prompt_options import read_prompts
    from univs_service.cli.task_options import read_asked
    from univs_service.exports import VideoDescription, open_export, read_format, read_names

    with reported():
        prompts = read_prompts(point or [], box or [], mask or [], text or [], scribble or [])
        asked = read_asked(prompts, task or [], names, stuff, vocabulary, stuff_object or [])
        kind = None if format_ is None else read_format(format_)
        target = output or _default_name(video, kind)
        called = read_names(name or [])
        unknown = VideoDescription(name=video.name, width=0, height=0, frame_rate=None)
        needs_image = open_export(target, unknown, kind).needs_image  # a wrong suffix is told before any work

        from rich.console import Console

        from univs_service.cli.report import print_summary, write_results
        from univs_service.cli.runs import LocalRun, ServiceRun, load_engine

        console = Console(stderr=True)
        if url is None:
            engine = load_engine(model, device, threads, short_side)
            run: Run = LocalRun(engine, video, asked.prompts, to_frame, asked.wish, asked.following)
        else:
            run = ServiceRun(
                url,
                video,
                asked.prompts,
                asked.wish,
                asked.following,
                model=model,
                to_frame=to_frame,
                needs_image=needs_image,
                console=console,
            )
        with run, open_export(target, run.video, kind, names=called) as sink:
            summary = write_results(run, [sink], console)
        print_summary(console, summary, [target])


def _default_name(video: Path, kind: "ExportFormat | None") -> Path:
    """Name the output after the video: a film, of a still a picture, or what was asked for."""
    from univs_service.exports import ExportFormat, info_of

    is_still = video.suffix.lower() in _STILLS
    return Path(
        f"{video.stem}_masks{info_of(kind or (ExportFormat.PICTURE if is_still else ExportFormat.OVERLAY)).suffix}"
    )
