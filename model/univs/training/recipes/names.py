"""Names of recipes as the command line knows them."""

from collections.abc import Callable

from univs.errors import InputError
from univs.training.config import TrainConfig
from univs.training.recipes.nano import nano_research_vos, nano_research_vos_long, nano_vos, nano_vos_long
from univs.training.recipes.smoke import tiny_smoke
from univs.training.recipes.stages import (
    r50_stage1,
    r50_stage1_released,
    r50_stage2,
    r50_stage2_released,
    r50_stage3,
    r50_stage3_released,
    swin_t_stage1,
    swin_t_stage1_released,
    swin_t_stage2,
    swin_t_stage2_released,
    swin_t_stage3,
    swin_t_stage3_released,
)

RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "nano_vos": nano_vos,
    "nano_vos_long": nano_vos_long,
    "nano_research_vos": nano_research_vos,
    "nano_research_vos_long": nano_research_vos_long,
    "tiny_smoke": tiny_smoke,
    "r50_stage1": r50_stage1,
    "r50_stage2": r50_stage2,
    "r50_stage3": r50_stage3,
    "r50_stage1_released": r50_stage1_released,
    "r50_stage2_released": r50_stage2_released,
    "r50_stage3_released": r50_stage3_released,
    "swin_t_stage1": swin_t_stage1,
    "swin_t_stage2": swin_t_stage2,
    "swin_t_stage3": swin_t_stage3,
    "swin_t_stage1_released": swin_t_stage1_released,
    "swin_t_stage2_released": swin_t_stage2_released,
    "swin_t_stage3_released": swin_t_stage3_released,
}


def find_recipe(name: str) -> TrainConfig:
    """Give a recipe by name.

    Raises:
        InputError: for an unknown name.
    """
    if name not in RECIPES:
        raise InputError(f"expected a recipe of {tuple(RECIPES)}, got {name!r}")
    return RECIPES[name]()
