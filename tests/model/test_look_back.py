"""Matches with the frame before, against their definition written out cell by cell."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from univs.config import MemoryConfig, tiny
from univs.look_back import LookBack
from univs.memory_readout import MemoryReadout

CHANNELS, WIDTH, KEY_DIM = 6, 8, 4


def part_of(radius: int) -> LookBack:
    torch.manual_seed(0)
    return LookBack(CHANNELS, WIDTH, KEY_DIM, radius).double().requires_grad_(False)


def scene(part: LookBack, grid: tuple[int, int], num_objects: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """The 1/8 map of a frame, keys of the one before, and where objects were."""
    random = torch.Generator().manual_seed(grid[0] * 100 + grid[1])
    level, earlier = torch.randn(2, 1, CHANNELS, *grid, dtype=torch.float64, generator=random)
    priors = torch.rand(1, num_objects, *grid, dtype=torch.float64, generator=random)
    return level, part.keys(earlier), priors


def written_out(part: LookBack, level: Tensor, before: Tensor, priors: Tensor) -> tuple[Tensor, Tensor]:
    """Carry masks, and find the likeness of the best match, one cell at a time."""
    temperature, locality = part.log_temperature.exp(), part.log_locality.exp()
    keys = part.keys(level)
    height, width = priors.shape[-2:]
    carried, likeness = torch.zeros_like(priors[0]), torch.zeros_like(priors[0, 0])
    for i in range(height):
        for j in range(width):
            scores, masks = [], []
            for y in range(max(0, i - part.radius), min(height, i + part.radius + 1)):
                for x in range(max(0, j - part.radius), min(width, j + part.radius + 1)):
                    apart = ((y - i) ** 2 + (x - j) ** 2) / part.radius**2
                    scores.append(temperature * (keys[0, i, j] @ before[0, y, x]) - locality * apart)
                    masks.append(priors[0, :, y, x])
            carried[:, i, j] = torch.stack(scores).softmax(0) @ torch.stack(masks)
            likeness[i, j] = max(scores) / temperature
    return carried, likeness


@pytest.mark.parametrize(("grid", "radius"), [((8, 8), 2), ((5, 7), 2), ((9, 17), 1), ((3, 4), 5)])
def test_equals_its_definition_written_out(grid: tuple[int, int], radius: int) -> None:
    part = part_of(radius)
    level, before, priors = scene(part, grid)
    matches = part.match(level, before)
    carried, likeness = written_out(part, level, before, priors)
    torch.testing.assert_close(matches.carry(priors)[0], carried, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(matches.likeness[0], likeness, rtol=1e-9, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), radius=st.integers(1, 5))
def test_what_fills_a_frame_still_fills_it_and_what_was_nowhere_is_nowhere(
    height: int, width: int, radius: int
) -> None:
    part = part_of(radius)
    level, before, priors = scene(part, (height, width))
    matches = part.match(level, before)
    torch.testing.assert_close(matches.carry(torch.ones_like(priors)), torch.ones_like(priors))
    assert not matches.carry(torch.zeros_like(priors)).any()


def test_a_scene_that_moves_carries_the_mask_with_it() -> None:
    part = part_of(2)
    part.log_temperature.fill_(5.0)
    level, _, _ = scene(part, (8, 16))
    before = part.keys(level.roll(-2, dims=3))  # two cells to the left of where it is now
    prior = torch.zeros(1, 1, 8, 16, dtype=torch.float64)
    prior[..., 2:5, 6:9] = 1
    carried = part.match(level, before).carry(prior)
    torch.testing.assert_close(carried.round(), prior.roll(2, dims=3))


def test_an_object_that_was_not_seen_or_was_just_prompted_gets_nothing() -> None:
    part = part_of(2)
    level, before, priors = scene(part, (5, 7), num_objects=3)
    priors[:, 1] = 0
    said = part(part.match(level, before), priors, torch.tensor([[True, True, False]]))
    assert said[0].any()
    assert not said[1:].any()


def test_objects_do_not_see_each_other() -> None:
    part = part_of(2)
    level, before, priors = scene(part, (5, 7), num_objects=3)
    matches = part.match(level, before)
    torch.testing.assert_close(part(matches, priors[:, 1:2], None), part(matches, priors, None)[1:2])


def test_a_network_without_a_frame_before_answers_as_one_that_never_looks_back() -> None:
    config = tiny()
    looking = MemoryReadout(config)
    blind = MemoryReadout(replace(config, memory=replace(config.memory, look_back_radius=0)))
    assert looking.look_back is not None
    assert blind.look_back is None
    shared = {name: value for name, value in looking.state_dict().items() if not name.startswith("look_back.")}
    blind.load_state_dict(shared)


def test_looking_back_needs_the_parts_it_feeds() -> None:
    with pytest.raises(ValueError, match="looking back carries the mask prior"):
        MemoryConfig(look_back_radius=2)
