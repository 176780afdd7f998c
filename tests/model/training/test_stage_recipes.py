"""The recipes for the full public data sets, on miniatures of all of them in their official layouts."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.model.data.miniatures import MINIATURES

from univs.config import BackboneConfig, ResNetConfig, SwinConfig
from univs.data.benchmarks import BENCHMARKS
from univs.data.catalog import open_source
from univs.data.mixture import StageMixture
from univs.data.sample import Source
from univs.data.text_table import TextTable
from univs.errors import InputError
from univs.training.monitor import StepReport
from univs.training.recipes import find_recipe
from univs.training.trainer import RunLimits, Trainer

from .shrunken import Words, shrunken, small_network

_BACKBONES: dict[str, BackboneConfig] = {
    "r50": ResNetConfig(depths=(1, 1, 1, 1), width=8),
    "swin_t": SwinConfig(8, (1, 1, 2, 1), (1, 1, 2, 2), window_size=4, drop_path=0.1),
}


def _open(name: str, root: Path) -> Source:
    """Write a miniature of a data set, and open the first split that it has."""
    if not (root / name).is_dir():
        MINIATURES[name](root / name)
    for split in BENCHMARKS[name].splits:
        try:
            return open_source(name, root, split)
        except InputError:
            continue
    raise AssertionError(f"no split of {name} can be opened")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a busy machine is slower than the others expect
@pytest.mark.parametrize("stage", ["stage1", "stage2", "stage3"])
@pytest.mark.parametrize("network", sorted(_BACKBONES))
def test_ten_steps_on_miniatures_of_every_data_set(tmp_path: Path, network: str, stage: str) -> None:
    config = shrunken(find_recipe(f"{network}_{stage}"), small_network(_BACKBONES[network]))
    assert config.stage is not None
    clips = replace(config.stage.clips, min_pixels=4)
    entries = tuple((_open(entry.name, tmp_path / "data"), entry) for entry in config.mixture)
    names = sorted({name for source, _ in entries for name in source.vocabulary})
    mixture = StageMixture(entries, clips, config.batch_size, config.seed)
    table = TextTable(dict(zip(names, Words().encode_names(names), strict=True)))
    reports: list[StepReport] = []
    Trainer(config, mixture, tmp_path / "run", table, Words()).run(RunLimits(num_workers=0), reports.append)
    assert [report.step for report in reports] == list(range(1, 11))
    assert all(report.total > 0 for report in reports)
    assert (tmp_path / "run" / f"{config.name}.safetensors").is_file()


def test_recipes_name_data_sets_that_can_be_opened() -> None:
    for network in _BACKBONES:
        for stage in ("stage1", "stage2", "stage3"):
            mixture = find_recipe(f"{network}_{stage}").mixture
            assert {entry.name for entry in mixture} <= set(BENCHMARKS)
            assert len({entry.name for entry in mixture}) == len(mixture)
