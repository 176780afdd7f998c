"""The readout against its definition, written out object by object and token by token."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from univs.config import tiny
from univs.memory_readout import MemoryReadout
from univs.prompt_encoder.tokens import ObjectTokens, VisualTokens

GRID = (4, 6)
NUM_FRAMES, NUM_ON, NUM_AROUND = 3, 4, 5
CHANNELS = tiny().hidden_dim


def readout() -> MemoryReadout:
    torch.manual_seed(0)
    return MemoryReadout(tiny()).double().eval().requires_grad_(False)


def tokens(num_objects: int, number: int, seed: int, *, num_padded: int = 1) -> VisualTokens:
    """Tokens of random cells; the last ones of each frame are padding, and the first is a negative click."""
    random = torch.Generator().manual_seed(seed)
    cells = torch.randint(0, GRID[0] * GRID[1], (1, num_objects, NUM_FRAMES, number), generator=random)
    cells[..., 0] = -2 - cells[..., 0]
    cells[..., number - num_padded :] = -1
    features = torch.randn(*cells.shape, CHANNELS, dtype=torch.float64, generator=random)
    frames = torch.arange(NUM_FRAMES).expand(1, num_objects, -1)
    return VisualTokens(features, cells, frames, frames, GRID)


def remembered(num_objects: int = 2) -> ObjectTokens:
    return ObjectTokens(tokens(num_objects, NUM_ON, seed=1), tokens(num_objects, NUM_AROUND, seed=2))


def scene(num_objects: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(3)
    level = torch.randn(1, CHANNELS, *GRID, dtype=torch.float64, generator=random)
    mask_features = torch.randn(1, CHANNELS, GRID[0] * 2, GRID[1] * 2, dtype=torch.float64, generator=random)
    return level, mask_features, torch.rand(1, num_objects, *GRID, dtype=torch.float64, generator=random)


def maps_of_pixel(part: MemoryReadout, pixel: Tensor, xy: Tensor, memory: ObjectTokens, row: int) -> list[float]:
    """Compare one pixel with the tokens of one object."""
    temperature, locality = part.log_temperature.exp(), part.log_locality.exp()
    best, scores, values = [], [], []
    for label, side in ((1, memory.foreground), (0, memory.background)):
        for frames, is_recent in ((slice(0, 1), 0), (slice(1, None), 1)):
            group = []
            for feature, cell, centre in zip(
                side.features[0, row, frames].flatten(0, 1),
                side.cells[0, row, frames].flatten(),
                side.centres_xy[0, row, frames].flatten(0, 1),
                strict=True,
            ):
                if cell < 0:
                    continue
                score = temperature * functional.cosine_similarity(part.key(pixel), part.key(feature), dim=0)
                score = score - is_recent * locality * (xy - centre).square().sum()
                group.append(score)
                role = part.role.weight[label + 2 * is_recent]
                values.append(torch.cat([part.value(feature) + role, torch.full((1,), label, dtype=torch.float64)]))
            scores += group
            best.append(float(max(group) / temperature) if group else 0.0)
    if not scores:
        return [0.0] * (5 + part.value.out_features + 1)
    read = torch.stack(scores).softmax(0) @ torch.stack(values)
    return [*best, best[0] - best[2], *read.tolist()]


def written_out(part: MemoryReadout, memory: ObjectTokens, num_objects: int) -> Tensor:
    level, mask_features, prior = scene(num_objects)
    own = []
    for row in range(num_objects):
        joined = torch.zeros(part.merge.in_channels, *GRID, dtype=torch.float64)
        for i in range(GRID[0]):
            for j in range(GRID[1]):
                pixel = level[0, :, i, j]
                xy = torch.tensor([(j + 0.5) / GRID[1], (i + 0.5) / GRID[0]], dtype=torch.float64)
                maps = maps_of_pixel(part, pixel, xy, memory, row)
                joined[:, i, j] = torch.cat(
                    [part.context(pixel), torch.tensor([*maps, float(prior[0, row, i, j])], dtype=torch.float64)]
                )
        merged = part.merge_norm(part.merge(joined[None])).relu()
        residual = functional.interpolate(part.widen(merged + part.mix(merged)), scale_factor=2.0, mode="bilinear")
        sharpened = mask_features + residual
        own.append(sharpened + part.detail(sharpened.relu()))
    return torch.stack(own, dim=1)


def answer(part: MemoryReadout, memory: ObjectTokens, num_objects: int = 2) -> Tensor:
    level, mask_features, prior = scene(num_objects)
    result: Tensor = part(level, mask_features, memory, prior)
    return result


@pytest.mark.parametrize("num_objects", [1, 2])
def test_equals_its_definition_written_out(num_objects: int) -> None:
    part, memory = readout(), remembered(num_objects)
    expected = written_out(part, memory, num_objects)
    torch.testing.assert_close(answer(part, memory, num_objects), expected, rtol=1e-9, atol=1e-9)


def test_equals_its_definition_with_no_recent_frame_and_with_no_token_at_all() -> None:
    part = readout()
    for first_closed in (1, 0):
        memory = remembered()
        for side in (memory.foreground, memory.background):
            side.cells[:, 0, first_closed:] = -1
        torch.testing.assert_close(answer(part, memory), written_out(part, memory, 2), rtol=1e-9, atol=1e-9)


def test_an_object_reads_the_same_alone() -> None:
    part, memory = readout(), remembered()
    level, mask_features, prior = scene()

    def cut(side: VisualTokens) -> VisualTokens:
        return VisualTokens(
            side.features[:, 1:], side.cells[:, 1:], side.frame_indices[:, 1:], side.source_indices[:, 1:], GRID
        )

    alone = part(level, mask_features, ObjectTokens(cut(memory.foreground), cut(memory.background)), prior[:, 1:])
    torch.testing.assert_close(alone, answer(part, memory)[:, 1:], rtol=1e-9, atol=1e-9)


def test_gradients_reach_every_weight() -> None:
    part = readout().requires_grad_(True)
    level, mask_features, prior = scene()
    assert part.look_back is not None
    matches = part.look_back.match(level, part.look_back.keys(level.flip(3)))
    own = part(level, mask_features, remembered(), prior, matches)
    own.square().mean().backward()
    assert [name for name, parameter in part.named_parameters() if parameter.grad is None] == []
    assert all(
        math.isfinite(float(parameter.grad.abs().sum()))
        for parameter in part.parameters()
        if parameter.grad is not None
    )
