"""Names of recipes as the command line knows them."""

from collections.abc import Callable

from univs.errors import InputError
from univs.training.config import TrainConfig
from univs.training.recipes.nano import nano_research_vos, nano_research_vos_long, nano_vos, nano_vos_long
from univs.training.recipes.smoke import tiny_smoke

RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "nano_vos": nano_vos,
    "nano_vos_long": nano_vos_long,
    "nano_research_vos": nano_research_vos,
    "nano_research_vos_long": nano_research_vos_long,
    "tiny_smoke": tiny_smoke,
}


def find_recipe(name: str) -> TrainConfig:
    """Give a recipe by name.

    Raises:
        InputError: for an unknown name.
    """
    if name not in RECIPES:
        raise InputError(f"expected a recipe of {tuple(RECIPES)}, got {name!r}")
    return RECIPES[name]()
