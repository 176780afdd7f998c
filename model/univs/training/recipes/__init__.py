"""Training runs with names. A recipe is a function; what differs from another recipe is what it replaces.

One file for each family: `nano` (what ships), `stages` (the paper's, on the full data sets), `smoke` (does everything
fit together?). `names` lists them all.
"""

from univs.training.recipes.names import RECIPES, find_recipe
from univs.training.recipes.nano import nano_research_vos, nano_research_vos_long, nano_vos, nano_vos_long
from univs.training.recipes.smoke import tiny_smoke

__all__ = [
    "RECIPES",
    "find_recipe",
    "nano_research_vos",
    "nano_research_vos_long",
    "nano_vos",
    "nano_vos_long",
    "tiny_smoke",
]
