"""From a recipe and a folder of data sets to a trainer."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from univs import weights
from univs.companions import read_text_tower, text_path
from univs.config import UniVSConfig
from univs.data.cache import CachedSource
from univs.data.catalog import open_source
from univs.data.mixture import ClipMixture, StageMixture
from univs.data.sample import Source
from univs.data.text_table import TextTable
from univs.errors import InputError
from univs.prompt_encoder import TextEncoder
from univs.training.config import TrainConfig
from univs.training.processes import Processes
from univs.training.stages.config import StageConfig
from univs.training.trainer import Trainer

_SPLIT = "train"
_TEXT_FOLDER = "text"


def open_trainer(
    config: TrainConfig,
    data_root: Path,
    folder: Path,
    cache_folder: Path,
    *,
    processes: Processes | None = None,
    text_tower: Path | None = None,
    device: str = "cpu",
) -> Trainer:
    """Open the data sets of a recipe, decode them where they are not cached yet, and build the trainer.

    The data sets of a stage are read where they lie: they are too large to be decoded beforehand.

    Args:
        config: the recipe.
        data_root: holds the folders of the data sets, and `text` with the vectors of category names.
        folder: of the run.
        cache_folder: where decoded pictures are kept; runs may share it.
        processes: that share the run.
        text_tower: of a stage, as `univs weights convert --text-tower` writes it. None takes the one that lies beside
            the initial weights, or the offline encoder of networks in the text space of CLIP ViT-B/32.
        device: where a run by itself encodes texts.
    Raises:
        InputError: for a data set that is not there, or lacks parts, and for a text encoder that is not there.
    """
    if config.stage is not None:
        place = torch.device(device) if processes is None else processes.device
        return _open_stage(config, config.stage, data_root, folder, processes, text_tower, place)
    entries = [
        (CachedSource(open_source(entry.name, data_root, _SPLIT), cache_folder, config.cache_short_side_px), entry)
        for entry in config.mixture
    ]
    mixture = ClipMixture(entries, config.clip, config.batch_size, config.seed)
    text_encoder = None if config.texts is None else weights.offline_text(config.model)
    return Trainer(config, mixture, folder, _text_table(config, data_root / _TEXT_FOLDER), text_encoder, processes)


def _open_stage(
    config: TrainConfig,
    stage: StageConfig,
    data_root: Path,
    folder: Path,
    processes: Processes | None,
    text_tower: Path | None,
    device: torch.device,
) -> Trainer:
    sources = [open_source(entry.name, data_root, _SPLIT) for entry in config.mixture]
    mixture = StageMixture(
        tuple(zip(sources, config.mixture, strict=True)), stage.clips, config.batch_size, config.seed
    )
    encoder = _stage_encoder(config.model, config.initial_weights, text_tower)
    if isinstance(encoder, nn.Module):
        encoder.to(device)
    return Trainer(config, mixture, folder, _encoded_table(config, sources, encoder), encoder, processes)


def _stage_encoder(model: UniVSConfig, initial_weights: str | None, text_tower: Path | None) -> TextEncoder | None:
    """Read the text tower of a stage: the one given, or what lies beside the initial weights, or what works offline."""
    if text_tower is not None:
        return read_text_tower(text_tower)
    if initial_weights is not None and initial_weights not in weights.variants():
        beside = text_path(weights.find(initial_weights))
        if beside.is_file():
            return read_text_tower(beside)
    return weights.offline_text(model)


def _encoded_table(config: TrainConfig, sources: Sequence[Source], encoder: TextEncoder | None) -> TextTable | None:
    """Encode the names of all categories; None where no data set has any."""
    names = sorted({name for source in sources for name in source.vocabulary})
    if not names:
        return None
    if encoder is None or encoder.text_dim != config.model.text_dim:
        found = "none" if encoder is None else f"one of {encoder.text_dim}"
        raise InputError(
            f"expected a text encoder of {config.model.text_dim} numbers for the names of {len(names)} categories, got "
            f"{found}; give the tower that `univs weights convert --text-tower` writes by --text-tower"
        )
    with torch.no_grad():
        vectors = torch.cat([encoder.encode_names([name]).cpu() for name in names])
    return TextTable(dict(zip(names, vectors, strict=True)))


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
