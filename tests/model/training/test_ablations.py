"""Every ablation is the one network with an option changed, and each trains and is measured."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from univs import rle
from univs.config import PromptingConfig
from univs.errors import InputError
from univs.inference.entities.options import EntityOptions, Tracker
from univs.training.ablations.measure import entity_options, found_figures, measure
from univs.training.ablations.query_objects import follow_by_queries
from univs.training.ablations.run import Row, run_ablation, train
from univs.training.ablations.table import UNKNOWN, table
from univs.training.ablations.words import HashedWords
from univs.training.ablations.world import World, shapes_world
from univs.training.config import TrainConfig
from univs.training.recipes.ablations import (
    ABLATIONS,
    NUM_STEPS,
    Ablation,
    Figure,
    Variant,
    base,
    category_only,
    detection_interval,
    find_ablation,
    prompting,
    tracking,
)
from univs.types import FrameResult, MaskResult, ObjectState, RankedEntity, Segment, SegmentMap

ALL = [build() for build in ABLATIONS.values()]


def _networks() -> dict[str, Variant]:
    """Give one variant for each network and tracker there is."""
    found: dict[tuple[tuple[TrainConfig, ...], Tracker], Variant] = {}
    for ablation in ALL:
        for variant in ablation.variants:
            found.setdefault((variant.training, variant.tracker), variant)
    return {f"{variant.name}, {variant.tracker}": variant for variant in found.values()}


NETWORKS = _networks()


@pytest.fixture(scope="module")
def world() -> World:
    return shapes_world(base().model.text_dim, num_train=4, num_dev=1, num_frames=3)


def test_names_are_those_of_the_command_line() -> None:
    assert [ablation.name for ablation in ALL] == list(ABLATIONS)
    assert find_ablation("tracking") == tracking()
    with pytest.raises(InputError, match="expected an ablation of"):
        find_ablation("everything")


@pytest.mark.parametrize("ablation", ALL, ids=lambda ablation: ablation.name)
def test_rows_differ_from_the_base_by_named_options_alone(ablation: Ablation) -> None:
    usual = base()
    assert any(variant.training == (usual,) for variant in ablation.variants), "every table holds UniVS itself"
    for variant in ablation.variants:
        for stage in variant.training:
            assert replace(stage.model, prompting=usual.model.prompting) == usual.model
            same = replace(
                stage,
                model=usual.model,
                trains_prompts=usual.trains_prompts,
                texts=usual.texts,
                clip=replace(stage.clip, num_frames=usual.clip.num_frames, prompts=usual.clip.prompts),
                frozen=usual.frozen,
                num_steps=usual.num_steps,
                optimizer=usual.optimizer,
            )
            assert same == usual
        assert sum(stage.num_steps for stage in variant.training) == NUM_STEPS, "rows train equally long"
    rows = [(variant.training, variant.tracker, variant.interval) for variant in ablation.variants]
    assert len(set(rows)) == len(rows), "no row is there twice"


def test_the_network_of_the_ablations_is_the_papers() -> None:
    model = base().model
    assert not model.memory.dense_readout
    assert replace(model.prompting, self_attention=None) == PromptingConfig()


def test_an_option_of_a_variant_is_all_that_its_inference_changes() -> None:
    usual = entity_options(Variant("", (base(),)))
    other = entity_options(Variant("", (base(),), Tracker.QUERIES, interval=7))
    assert other.following.tracker is Tracker.QUERIES
    assert other.detection.interval == 7
    back = EntityOptions(
        other.inference,
        replace(other.detection, interval=1),
        replace(other.following, tracker=Tracker.PROMPTS),
        other.semantic,
        other.panoptic,
        other.ranking,
    )
    assert back == usual


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_trains_and_is_measured(name: str, world: World, tmp_path: Path) -> None:
    variant = NETWORKS[name]
    trained = train(variant.fitted(3, 32), world, tmp_path, seed=0)
    assert len(trained.losses) == 3
    assert np.isfinite(trained.losses).all()
    figures = measure(trained.model, variant, world, tuple(Figure))
    assert (Figure.NAMED in figures) is (variant.tracker is Tracker.PROMPTS)
    assert all(0 <= value <= 100 for value in figures.values())
    assert set(figures) >= set(Figure) - {Figure.NAMED}


def test_training_lowers_the_loss(world: World, tmp_path: Path) -> None:
    trained = train(Variant("", (base(),)).fitted(20, 32), world, tmp_path, seed=0)
    assert trained.last_loss < 0.9 * trained.first_loss


def test_steps_are_shared_out_among_stages() -> None:
    variant = tracking().variants[-1]
    assert [stage.num_steps for stage in variant.training] == [200, 100]
    assert [stage.num_steps for stage in variant.fitted(30, 32)] == [20, 10]
    assert [stage.clip.num_frames for stage in variant.training] == [2, 4]
    assert [stage.frozen for stage in variant.training] == [(), ("backbone.",)]


def test_a_second_stage_starts_from_the_first_and_leaves_the_backbone(world: World, tmp_path: Path) -> None:
    variant = tracking().variants[-1]
    stages = variant.fitted(2, 32)
    short = train(stages[:1], world, tmp_path, seed=0).model.state_dict()
    long = train(stages, world, tmp_path, seed=0).model.state_dict()
    moved = {name for name, tensor in long.items() if not torch.equal(tensor, short[name])}
    assert any(name.startswith("mask_decoder.") for name in moved)
    assert not {name for name in moved if name.startswith("backbone.") and "running" not in name and "num_" not in name}
    assert len(list(tmp_path.iterdir())) == 2, "the first stage was trained once"


def test_a_network_that_tables_share_is_trained_once(world: World, tmp_path: Path) -> None:
    begun: list[str] = []
    small = replace(detection_interval(), variants=detection_interval().variants[:2])
    rows = run_ablation(small, world, tmp_path, 1, (0, 1), begun.append)
    assert len(begun) == 4
    assert len(list(tmp_path.iterdir())) == 2, "one for each seed"
    assert [row.first_loss for row in rows] == [rows[0].first_loss] * 2
    assert all(len(values) == 2 for row in rows for values in row.figures.values())


def _perfect(world: World, shift: int = 0) -> list[tuple[list[FrameResult], list[RankedEntity]]]:
    """Give the truth as an answer, in frames that come `shift` late."""
    num_frames = world.dev.num_frames(0)
    results, ranking = [], []
    for position in range(num_frames):
        picture = world.dev.read(0, max(0, position - shift))
        segments, objects = [], []
        for row, category in enumerate(picture.category_ids):
            encoded, name = rle.encode(picture.masks[row]), world.dev.vocabulary[category]
            is_thing, area = world.is_thing[category], float(picture.masks[row].float().mean())
            segments.append(Segment(row + 1, row + 1, category, name, is_thing, 1.0, area, encoded))
            if is_thing:
                objects.append(MaskResult(row + 1, position, 1.0, 1.0, ObjectState.VISIBLE, area, 0, name, encoded))
        size = (picture.image.shape[-2], picture.image.shape[-1])
        panoptic = SegmentMap(size, tuple(segments))
        results.append(FrameResult(position, position, Fraction(1, 24), size, tuple(objects), None, panoptic))
        ranking = [RankedEntity(each.object_id, picture.category_ids[each.object_id - 1], "", 0.9) for each in objects]
    return [(results, ranking)]


def test_the_truth_as_an_answer_is_worth_100_percent(world: World) -> None:
    assert found_figures(world, _perfect(world)) == pytest.approx(
        {Figure.TRACKS: 100, Figure.PANOPTIC: 100, Figure.ASSOCIATION: 100}
    )
    late = found_figures(world, _perfect(world, shift=2))
    assert all(value < 99.9 for value in late.values())


def test_queries_follow_what_they_were_matched_with(world: World, tmp_path: Path) -> None:
    model = train(Variant("", (base(),)).fitted(1, 32), world, tmp_path, seed=0).model
    pictures = [world.dev.read(0, position) for position in range(3)]
    given = [mask.numpy() for mask in pictures[0].masks]
    still = follow_by_queries(model, [pictures[0].image] * 3, given, 64)
    assert all(np.array_equal(mask, own) for mask, own in zip(still[0], given, strict=True))
    assert len(still) == 3
    assert all(len(frame) == len(given) for frame in still)


def test_words_are_read_alike_wherever_they_stand() -> None:
    words = HashedWords(32)
    assert torch.equal(words.encode_names(["ball"]), words.encode(["the ball"]).sentences)
    several = words.encode(["the red ball", "box"])
    assert several.is_padding is not None
    assert several.is_padding.tolist() == [[False, False], [False, True]]
    assert torch.equal(several.words[0, 1], words.encode(["ball"]).words[0, 0])
    assert abs(float(several.words[0, 0] @ several.words[0, 1])) < 0.6


def _row(variant: Variant, *values: float) -> Row:
    return Row(variant, {Figure.TRACKS: values, Figure.PANOPTIC: values}, 9.0, 5.0)


def test_a_table_has_the_papers_figures_beside_ours_and_says_what_is_unknown() -> None:
    ablation = detection_interval()
    lines = table(ablation, [_row(variant, 10.0) for variant in ablation.variants], 30).splitlines()
    assert lines[0].startswith("Table 9")
    third = lines[5]
    assert third.startswith("| every 3 |")
    assert [cell.strip() for cell in third.strip("|").split("|")][1:] == [
        UNKNOWN,
        "38.6",
        "45.8",
        "10.0",
        "10.0",
        "none",
        "9.0 → 5.0",
    ]
    assert "38.6" not in lines[4]
    assert "may be chance" in lines[-1]
    assert "VIPSeg" in lines[-1]


def test_several_seeds_give_a_mean_and_a_deviation() -> None:
    ablation = category_only()
    text = table(ablation, [_row(variant, 10.0, 14.0) for variant in ablation.variants], 30)
    assert "12.0 ± 2.8" in text
    assert "2 seeds" in text


def test_only_what_the_paper_is_known_to_say_is_given_as_its_figure() -> None:
    known = [(ablation.name, variant.name) for ablation in ALL for variant in ablation.variants if variant.paper]
    assert known == [("detection-interval", "every 3")]
    assert prompting().variants[0].tracker is Tracker.QUERIES
