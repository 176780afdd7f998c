"""`univs train`: a recipe by its name, `finetune` on videos of one's own, or an `ablation` of the network."""

from typing import Any

import typer
from typer.core import TyperGroup

from univs_service.cli.ablation import ablation
from univs_service.cli.finetune import finetune
from univs_service.cli.train import train

_RECIPE = "recipe"


class _RecipeFirst(TyperGroup):
    """A group in which the name of the command `recipe` may be left out: what is no command is a recipe."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # Any: click's Context, which typer brings itself
        """Put the name of the command in front where it was left out."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_RECIPE, *args]
        return super().parse_args(ctx, args)


training = typer.Typer(
    cls=_RecipeFirst,
    add_completion=False,
    no_args_is_help=True,
    help="Train a network: by a recipe (`univs train nano_vos ...`, see `univs train recipe --help`), from finished "
    "weights on your own videos (`univs train finetune`), or with parts changed (`univs train ablation`).",
    rich_markup_mode=None,
)
training.command(_RECIPE)(train)
training.command()(finetune)
training.command()(ablation)
