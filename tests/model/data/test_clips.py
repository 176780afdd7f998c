from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from univs.data.cache import CachedSource
from univs.data.clips import ClipConfig, draw_positions, make_clip
from univs.data.collate import collate
from univs.data.composition import PasteConfig, PastedObject, Scene, paste
from univs.data.images import resize_masks, resize_short_side
from univs.data.mixture import ClipMixture, MixtureEntry
from univs.data.motion import Framing, Motion, MotionRange, random_motion
from univs.data.photometric import LightRange, relight
from univs.data.sample import Batch, Sample
from univs.data.warp import warp

from .sources import MovingSquare

_SMALL = ClipConfig(size=(64, 96), num_frames=3)
_STILL_LIGHT = LightRange(
    brightness=0, contrast=0, saturation=0, tint=0, flicker=0, grey_probability=0, blur_probability=0
)
_NO_MOTION = MotionRange(shift=0, rotation_deg=0, zoom=0, shear=0, jitter=0, warp=0)


def _same(left: Batch | Sample, right: Batch | Sample) -> bool:
    for field in fields(left):
        a, b = getattr(left, field.name), getattr(right, field.name)
        same = torch.equal(a, b) if isinstance(a, torch.Tensor) else repr(a) == repr(b)
        if not same:
            return False
    return True


def _mixture(seed: int = 0) -> ClipMixture:
    entries = (
        (MovingSquare(), MixtureEntry("squares", 1.0)),
        (MovingSquare(num_frames=1), MixtureEntry("stills", 2.0, is_pasted=True)),
    )
    return ClipMixture(entries, _SMALL, batch_size=2, seed=seed)


def test_batch_depends_on_seed_and_step_only() -> None:
    resumed = _mixture().batches(first_step=5)
    assert _same(_mixture().batch(5), next(resumed))
    assert _same(_mixture().batch(6), next(resumed))
    assert not _same(_mixture().batch(5), _mixture().batch(6))
    assert not _same(_mixture().batch(5), _mixture(seed=1).batch(5))


@pytest.mark.parametrize("num_frames", [1, 12])
def test_clip_has_a_prompt_for_every_object_and_every_object_in_its_first_frame(num_frames: int) -> None:
    source = MovingSquare(num_frames=num_frames)
    for seed in range(10):
        sample = make_clip(np.random.default_rng(seed), source, (source,), _SMALL)
        assert sample.images.shape == (3, 3, 64, 96)
        assert sample.images.dtype == torch.uint8
        assert 1 <= len(sample.prompts) == len(sample.masks) == len(sample.texts) <= _SMALL.max_objects
        assert bool(sample.is_present[:, 0].all())
        assert sample.frame_indices.diff().min() >= 1
        assert [prompt.object_id for prompt in sample.prompts] == list(range(len(sample.masks)))


def test_masks_move_with_the_pixels() -> None:
    config = replace(_SMALL, light=_STILL_LIGHT, pasting=PasteConfig(probability=0.0), prompts=_SMALL.prompts)
    sample = make_clip(np.random.default_rng(3), MovingSquare(num_items=1, num_frames=1), (), config)
    row = sample.category_ids.tolist().index(0)
    for image, mask in zip(sample.images, sample.masks[row], strict=True):
        is_red = (image[0] > 200) & (image[2] < 90)
        assert int((is_red & mask).sum()) >= 0.97 * int(is_red.sum())
        assert int((is_red & mask).sum()) >= 0.85 * int(mask.sum())


def test_motion_is_monotone_over_the_clip() -> None:
    motion = random_motion(
        np.random.default_rng(0), [0, 4, 9, 11], Framing((10.0, 20.0), 1.5, False, 64), MotionRange(jitter=0.0)
    )
    for entry in (motion.matrices[:, 0, 2], motion.matrices[:, 1, 2], motion.matrices[:, 1, 0]):
        steps = entry.diff()
        assert bool((steps > 0).all() or (steps < 0).all())


def test_warp_without_motion_is_a_crop() -> None:
    image = torch.rand(3, 40, 60)
    motion = random_motion(np.random.default_rng(0), [0, 1], Framing((30.0, 20.0), 1.0, False, 20), _NO_MOTION)
    moved = warp(image, Motion(motion.matrices, None), (20, 32), is_mirrored_outside=True)
    assert torch.allclose(moved[0], image[:, 10:30, 14:46], atol=1e-4)
    assert torch.equal(moved[0], moved[1])


def test_flip_mirrors_left_and_right() -> None:
    image = torch.rand(3, 40, 60)
    motion = random_motion(np.random.default_rng(0), [0], Framing((30.0, 20.0), 1.0, True, 20), _NO_MOTION)
    assert torch.allclose(warp(image, motion, (40, 60), is_mirrored_outside=True)[0], image.flip(-1), atol=1e-4)


def test_pasted_object_hides_what_lies_behind_it() -> None:
    scene = Scene(torch.zeros(2, 3, 64, 96), torch.ones(1, 2, 64, 96, dtype=torch.bool), (0,), ("ground",))
    picture = MovingSquare().read(0, 0)
    pasted = paste(np.random.default_rng(1), scene, PastedObject(picture, 0, 0), [0, 1], PasteConfig(min_extent=0.6))
    assert bool((pasted.masks[0] ^ pasted.masks[1]).all())
    assert int(pasted.masks[1, 0].sum()) > 200
    inside = pasted.images[0][:, pasted.masks[1, 0]]
    assert float((inside[0] > 150).float().mean()) > 0.8
    assert not scene.images.any()


def test_light_stays_in_range_and_can_be_left_alone() -> None:
    images = torch.rand(2, 3, 8, 8) * 255
    assert torch.allclose(relight(np.random.default_rng(0), images, _STILL_LIGHT), images, atol=1e-3)
    for seed in range(20):
        changed = relight(np.random.default_rng(seed), images, LightRange(brightness=0.9))
        assert 0 <= float(changed.min()) <= float(changed.max()) <= 255


@pytest.mark.parametrize("num_available", [2, 5, 80])
def test_positions_lie_in_the_video_and_do_not_go_back(num_available: int) -> None:
    for seed in range(30):
        positions = draw_positions(np.random.default_rng(seed), num_available, _SMALL)
        assert len(positions) == _SMALL.num_frames
        assert positions == sorted(positions)
        assert 0 <= positions[0] <= positions[-1] < num_available


def test_collate_pads_object_slots_with_empty_objects() -> None:
    samples = [make_clip(np.random.default_rng(seed), MovingSquare(), (), _SMALL) for seed in range(6)]
    one = replace(
        samples[0],
        masks=samples[0].masks[:1],
        category_ids=samples[0].category_ids[:1],
        prompts=samples[0].prompts[:1],
    )
    two = next(sample for sample in samples if len(sample.prompts) == 2)
    batch = collate([one, two])
    assert batch.is_padding.tolist() == [[False, True], [False, False]]
    assert not bool(batch.masks[0, 1].any())
    assert batch.category_ids[0, 1] == -1
    assert torch.equal(batch.masks[1], two.masks)


def test_collate_refuses_clips_of_different_size() -> None:
    small = make_clip(np.random.default_rng(0), MovingSquare(), (), _SMALL)
    large = make_clip(np.random.default_rng(0), MovingSquare(), (), replace(_SMALL, size=(96, 96)))
    with pytest.raises(ValueError, match="one shape"):
        collate([small, large])


def test_cache_gives_what_the_source_gives_and_is_written_once(tmp_path: Path) -> None:
    source = MovingSquare(num_items=2, num_frames=3)
    cached = CachedSource(source, tmp_path, short_side_px=96)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.bin")}
    again = CachedSource(source, tmp_path, short_side_px=96)
    for item_index, position in ((0, 0), (1, 2)):
        expected, got = source.read(item_index, position), again.read(item_index, position)
        assert torch.equal(expected.image, got.image)
        assert torch.equal(expected.masks, got.masks)
        assert (expected.category_ids, expected.texts) == (got.category_ids, got.texts)
    assert written == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.bin")}
    assert (len(cached), cached.num_frames(1), cached.vocabulary) == (2, 3, source.vocabulary)


def test_pictures_shrink_to_the_short_side_and_never_grow() -> None:
    picture = MovingSquare().read(0, 0)
    assert resize_short_side(picture, 48).image.shape == (3, 48, 64)
    assert resize_short_side(picture, 48).masks.shape == (2, 48, 64)
    assert resize_short_side(picture, 500) is picture
    assert resize_masks(torch.zeros(0, 9, 9, dtype=torch.bool), (3, 4)).shape == (0, 3, 4)
