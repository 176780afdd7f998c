"""`univs`: the root of the command line.

One file of this folder holds one command. Such a file imports at its top only the standard library, typer
and other light modules; what is heavy (torch, univs, fastapi) is imported inside the function, so that
`univs --help` is quick. To add a command, add its function to the list at the bottom.
"""

import importlib.metadata
from typing import Annotated

import typer

from univs_service.cli.bench import bench
from univs_service.cli.data import data
from univs_service.cli.demo import demo
from univs_service.cli.doctor import doctor
from univs_service.cli.eval import evaluate
from univs_service.cli.gateway import gateway
from univs_service.cli.predict import predict
from univs_service.cli.publish import publish
from univs_service.cli.score import score
from univs_service.cli.segment import segment
from univs_service.cli.serve import serve
from univs_service.cli.training import training
from univs_service.cli.weights import weights
from univs_service.cli.worker import worker

app = typer.Typer(
    name="univs",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Open video segmentation: prompts in, masks out, frame by frame.",
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"univs {importlib.metadata.version('univs')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options of `univs` itself."""


for _command in (serve, gateway, worker, segment, demo, predict, score, doctor):
    app.command()(_command)
app.command("eval")(evaluate)
app.add_typer(bench, name="bench")
app.add_typer(data, name="data")
app.add_typer(training, name="train")
weights.command()(publish)
app.add_typer(weights, name="weights")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
