from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from univs.data.jitter import ShortSide, SquareJitter, place
from univs.data.mixture import MixtureEntry, StageMixture
from univs.data.sample import Batch, Picture
from univs.data.stage_clips import MASKS_ONLY, STAGE_PROMPTS, StageClipConfig, draw_frames, make_stage_clip
from univs.data.warp import warp
from univs.types import BoxPrompt, MaskPrompt, PointPrompt

from .sources import MovingSquare

_SQUARE = StageClipConfig(num_frames=3, fit=SquareJitter(96, (0.8, 1.6)), max_objects=4, rotation_deg=15.0)
_SHORT = replace(_SQUARE, fit=ShortSide((64, 80), longest_px=100), rotation_deg=0.0)


class TwoNames:
    """One video of 300 frames, whose single object is named by two expressions."""

    name = "two-names"
    vocabulary: tuple[str, ...] = ()
    is_exhaustive = False

    def __len__(self) -> int:
        return 1

    def num_frames(self, _item_index: int, /) -> int:
        return 300

    def read(self, _item_index: int, position: int, /) -> Picture:
        picture = MovingSquare().read(0, position % 10)
        return Picture(picture.image, picture.masks[[0, 0]], (-1, -1), ("the square", "what moves to the right"))


def _same(left: Batch, right: Batch) -> bool:
    return all(repr(getattr(left, field.name)) == repr(getattr(right, field.name)) for field in fields(Batch))


@pytest.mark.parametrize("num_frames", [1, 12])
@pytest.mark.parametrize("config", [_SQUARE, _SHORT])
def test_clip_prompts_every_object_in_a_frame_where_it_shows(num_frames: int, config: StageClipConfig) -> None:
    for seed in range(6):
        sample = make_stage_clip(np.random.default_rng(seed), MovingSquare(num_frames=num_frames), config)
        indices = sample.frame_indices.tolist()
        assert sample.images.shape[:2] == (3, 3)
        assert indices == sorted(indices)
        assert 1 <= len(sample.prompts) == len(sample.masks) == len(sample.texts)
        for row, prompt in enumerate(sample.prompts):
            assert prompt.object_id == row
            assert bool(sample.masks[row, indices.index(prompt.frame_index)].any())


def test_masks_lie_on_their_pixels_whatever_the_jitter() -> None:
    for seed in range(6):
        sample = make_stage_clip(np.random.default_rng(seed), MovingSquare(num_items=1), _SQUARE)
        for row, category in enumerate(sample.category_ids.tolist()):
            colour = torch.tensor([(230, 60, 40), (20, 200, 220)][category])
            for image, mask in zip(sample.images, sample.masks[row], strict=True):
                is_colour = (image.int() - colour[:, None, None]).abs().amax(dim=0) < 40
                assert int((is_colour & ~mask).sum()) <= 0.03 * max(1, int(mask.sum()))
                assert int((is_colour & mask).sum()) >= 0.85 * int(mask.sum())


def test_short_side_fits_and_pads_right_and_bottom_to_a_multiple_of_32() -> None:
    placement = place(np.random.default_rng(0), (90, 160), 2, ShortSide((64,), longest_px=1000), rotation_deg=0)
    assert placement.picture_px == (64, 114)
    assert placement.frame_px == (64, 128)
    limited = place(np.random.default_rng(0), (90, 160), 2, ShortSide((64,), longest_px=100), rotation_deg=0)
    assert max(limited.picture_px) == 100
    image = torch.rand(3, 64, 114) * 100 + 100
    placement = replace(placement, is_flipped=False)
    moved = warp(image, placement.motion((64, 114)), placement.frame_px, is_mirrored_outside=False)
    assert torch.allclose(moved[0, :, :, :113], image[:, :, :113], atol=0.05)
    assert not moved[0, :, :, 115:].any()


def test_flip_mirrors_within_the_picture_and_not_within_its_padding() -> None:
    placement = place(np.random.default_rng(0), (64, 114), 1, ShortSide((64,), longest_px=1000), rotation_deg=0)
    image = torch.rand(3, 64, 114) * 100
    flipped = replace(placement, is_flipped=True).motion((64, 114))
    moved = warp(image, flipped, placement.frame_px, is_mirrored_outside=False)[0]
    assert torch.allclose(moved[:, :, 1:113], image.flip(-1)[:, :, 1:113], atol=0.05)


def test_square_jitter_crops_the_large_and_pads_the_small() -> None:
    for seed in range(10):
        large = place(np.random.default_rng(seed), (90, 160), 4, SquareJitter(64, (3.0, 4.0)), rotation_deg=0)
        room = np.array([large.picture_px[1], large.picture_px[0]]) - 64
        assert large.frame_px == (64, 64)
        assert 3 * 64 <= max(large.picture_px) <= 4 * 64
        assert bool(((large.corners_xy >= 0) & (large.corners_xy <= room)).all())
        assert float(np.ptp(large.corners_xy, axis=0).max()) <= 2 * 0.1 * 64
        small = place(np.random.default_rng(seed), (90, 160), 4, SquareJitter(64, (0.5, 0.5)), rotation_deg=0)
        assert small.picture_px == (18, 32)
        assert not small.corners_xy.any()


def test_rotation_goes_one_way_and_keeps_its_centre() -> None:
    for seed in range(8):
        placement = place(np.random.default_rng(seed), (100, 100), 4, SquareJitter(96, (1.0, 1.0)), rotation_deg=15)
        steps = np.diff(placement.angles_rad)
        assert bool((steps >= 0).all() or (steps <= 0).all())
        assert float(np.abs(placement.angles_rad).max()) <= np.radians(15)
        centre = np.asarray(placement.centre_xy)
        assert bool((centre >= 0.4 * 96).all() and (centre <= 0.6 * 96).all())
        upright = replace(placement, is_flipped=False)
        for matrix, corner in zip(
            upright.motion((96, 96)).matrices.double().numpy(), placement.corners_xy, strict=True
        ):
            in_frame = centre - corner - 48
            assert np.allclose(matrix[:, :2] @ in_frame + matrix[:, 2], centre, atol=1e-3)


def test_frames_lie_around_the_drawn_one_and_stills_are_repeated() -> None:
    config = replace(_SQUARE, num_frames=5, reach=4)
    for seed in range(30):
        positions = draw_frames(np.random.default_rng(seed), 50, config)
        assert len(positions) == 5
        assert positions == sorted(positions)
        assert 0 <= positions[0] <= positions[-1] < 50
        assert positions[-1] - positions[0] <= 8
        still = draw_frames(np.random.default_rng(seed), 1, config)
        assert 0 <= min(still) <= max(still) < 15


def test_positions_in_time_stay_where_they_are_learned() -> None:
    for seed in range(10):
        sample = make_stage_clip(np.random.default_rng(seed), TwoNames(), _SQUARE)
        assert 0 <= int(sample.frame_indices.min()) <= int(sample.frame_indices.max()) <= 127


def test_two_expressions_of_one_object_are_not_two_objects() -> None:
    texts: set[str] = set()
    for seed in range(10):
        sample = make_stage_clip(np.random.default_rng(seed), TwoNames(), _SQUARE)
        assert len(sample.masks) == 1
        texts.update(sample.texts)
    assert len(texts) >= 2


def test_prompts_are_half_masks_a_quarter_boxes_a_quarter_points() -> None:
    rng = np.random.default_rng(0)
    kinds = [STAGE_PROMPTS.draw(rng) for _ in range(4000)]
    assert kinds.count("mask") == pytest.approx(2000, abs=120)
    assert kinds.count("box") == pytest.approx(1000, abs=120)
    assert kinds.count("point") == pytest.approx(1000, abs=120)
    assert {MASKS_ONLY.draw(rng) for _ in range(50)} == {"mask"}
    sample = make_stage_clip(np.random.default_rng(2), MovingSquare(), replace(_SQUARE, prompts=MASKS_ONLY))
    assert all(isinstance(prompt, MaskPrompt) for prompt in sample.prompts)
    mixed = make_stage_clip(np.random.default_rng(2), MovingSquare(), _SQUARE)
    assert all(isinstance(prompt, MaskPrompt | BoxPrompt | PointPrompt) for prompt in mixed.prompts)


def test_batch_comes_from_one_data_set_and_depends_on_seed_step_and_process_only() -> None:
    entries = ((MovingSquare(), MixtureEntry("squares", 1.0)), (TwoNames(), MixtureEntry("names", 1.0)))
    mixture = StageMixture(entries, _SQUARE, batch_size=2, seed=3)
    sources = set()
    for step in range(8):
        batch = mixture.batch(step)
        assert len(set(batch.vocabularies)) == 1
        sources.add(batch.vocabularies[0])
        assert _same(batch, StageMixture(entries, _SQUARE, 2, 3).of_process(0).batch(step))
    assert len(sources) == 2
    assert not _same(mixture.batch(0), mixture.of_process(1).batch(0))


def test_processes_of_one_data_set_share_the_places_of_a_larger_batch() -> None:
    entries = ((MovingSquare(), MixtureEntry("squares", 1.0)),)
    whole = StageMixture(entries, _SQUARE, batch_size=2, seed=3).batch(5)
    halves = [StageMixture(entries, _SQUARE, batch_size=1, seed=3).of_process(rank).batch(5) for rank in range(2)]
    assert torch.equal(whole.images, torch.cat([half.images for half in halves]))


def test_impossible_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="num_frames"):
        StageClipConfig(num_frames=0)
    with pytest.raises(ValueError, match="side_px"):
        SquareJitter(side_px=100)
