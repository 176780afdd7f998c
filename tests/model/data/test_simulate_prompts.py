import numpy as np
import pytest
import torch
from torch import Tensor

from univs.data.simulate_prompts import (
    PromptMix,
    roughen,
    simulate_box,
    simulate_correction,
    simulate_point,
    simulate_prompt,
    simulate_scribble,
)
from univs.types import BoxPrompt, MaskPrompt, PointPrompt, ScribblePrompt

_SEEDS = range(20)


def _mask() -> Tensor:
    mask = torch.zeros(60, 80, dtype=torch.bool)
    mask[20:40, 30:70] = True
    return mask


def _is_on(mask: Tensor, point_xy: tuple[float, float]) -> bool:
    height, width = mask.shape
    return bool(mask[int(point_xy[1] * height), int(point_xy[0] * width)])


def test_points_and_scribbles_lie_on_the_object() -> None:
    for seed in _SEEDS:
        rng = np.random.default_rng(seed)
        assert _is_on(_mask(), simulate_point(rng, _mask()))
        assert all(_is_on(_mask(), point) for point in simulate_scribble(rng, _mask()))


def test_box_is_tight_but_for_its_looseness() -> None:
    exact = (30 / 80, 20 / 60, 70 / 80, 40 / 60)
    assert simulate_box(np.random.default_rng(0), _mask(), looseness=0.0) == pytest.approx(exact)
    for seed in _SEEDS:
        box = simulate_box(np.random.default_rng(seed), _mask())
        assert np.abs(np.array(box) - exact).max() <= 0.1 * 40 / 80 + 1e-9


def test_one_pixel_can_be_prompted_in_every_way() -> None:
    mask = torch.zeros(20, 20, dtype=torch.bool)
    mask[19, 0] = True
    for seed in _SEEDS:
        simulate_prompt(np.random.default_rng(seed), mask, 0, 0, PromptMix(1, 1, 1, 1, 1.0, 1.0))


@pytest.mark.parametrize(
    ("mix", "kind"),
    [
        (PromptMix(1, 0, 0, 0), MaskPrompt),
        (PromptMix(0, 1, 0, 0), BoxPrompt),
        (PromptMix(0, 0, 1, 0), PointPrompt),
        (PromptMix(0, 0, 0, 1), ScribblePrompt),
    ],
)
def test_mix_chooses_the_kind(mix: PromptMix, kind: type) -> None:
    prompt = simulate_prompt(np.random.default_rng(0), _mask(), 7, 3, mix)
    assert isinstance(prompt, kind)
    assert (prompt.object_id, prompt.frame_index) == (7, 3)


def test_negative_point_lies_close_by_but_off_the_object() -> None:
    for seed in _SEEDS:
        prompt = simulate_prompt(np.random.default_rng(seed), _mask(), 0, 0, PromptMix(0, 0, 1, 0, 1.0))
        assert isinstance(prompt, PointPrompt)
        assert prompt.is_positive == (True, False)
        assert [_is_on(_mask(), point) for point in prompt.points_xy] == [True, False]


def test_correction_clicks_the_larger_error() -> None:
    rng = np.random.default_rng(0)
    too_much, too_little = _mask().clone(), _mask().clone()
    too_much[:, :20] = True
    too_little[:, 50:] = False
    surplus = simulate_correction(rng, too_much, _mask(), 1, 4)
    missed = simulate_correction(rng, too_little, _mask(), 1, 4)
    assert surplus is not None and surplus.is_positive == (False,)
    assert missed is not None and missed.is_positive == (True,)
    assert _is_on(too_much & ~_mask(), surplus.points_xy[0])
    assert _is_on(_mask() & ~too_little, missed.points_xy[0])
    assert simulate_correction(rng, _mask(), _mask(), 1, 4) is None


def test_rough_masks_stay_close_and_never_vanish() -> None:
    dot = torch.zeros(9, 9, dtype=torch.bool)
    dot[4, 4] = True
    for seed in _SEEDS:
        rough = roughen(np.random.default_rng(seed), _mask())
        assert 0.6 < int((rough & _mask()).sum()) / int((rough | _mask()).sum()) < 1.0
        assert bool(roughen(np.random.default_rng(seed), dot).any())
