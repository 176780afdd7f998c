"""From a recipe and a folder of data sets to a trainer."""

from pathlib import Path

from univs import weights
from univs.data.cache import CachedSource
from univs.data.catalog import open_source
from univs.data.mixture import ClipMixture
from univs.data.text_table import TextTable
from univs.errors import InputError
from univs.training.config import TrainConfig
from univs.training.trainer import Trainer

_SPLIT = "train"
_TEXT_FOLDER = "text"


def open_trainer(config: TrainConfig, data_root: Path, folder: Path, cache_folder: Path) -> Trainer:
    """Open the data sets of a recipe, decode them where they are not cached yet, and build the trainer.

    Args:
        config: the recipe.
        data_root: holds the folders of the data sets, and `text` with the vectors of category names.
        folder: of the run.
        cache_folder: where decoded pictures are kept; runs may share it.
    Raises:
        InputError: for a data set that is not there, or lacks parts, and for a text encoder that is not installed.
    """
    entries = [
        (CachedSource(open_source(entry.name, data_root, _SPLIT), cache_folder, config.cache_short_side_px), entry)
        for entry in config.mixture
    ]
    mixture = ClipMixture(entries, config.clip, config.batch_size, config.seed)
    text_encoder = None if config.texts is None else weights.offline_text(config.model)
    return Trainer(config, mixture, folder, _text_table(config, data_root / _TEXT_FOLDER), text_encoder)


def _text_table(config: TrainConfig, folder: Path) -> TextTable | None:
    """Read the vectors of names, if the recipe trains classes at all."""
    if config.learnable_share == 0:
        return None
    table = TextTable.read(folder)
    if table.text_dim != config.model.text_dim:
        raise InputError(
            f"expected category vectors of {config.model.text_dim} numbers for {config.model.name!r}, got "
            f"{table.text_dim} in {folder}; set text_dim of the model, or learnable_share to 0"
        )
    return table
