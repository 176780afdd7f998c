import pytest
import torch
from torch import Tensor

from univs.prompt_encoder import Canvas, CellChoice, ObjectTokens, SamplerOptions, sample_masks, sample_prompts
from univs.prompt_encoder.regions import mask_regions, prompt_region
from univs.types import BoxPrompt, MaskPrompt, PointPrompt, ScribblePrompt, VisualPrompt

FRAME = (90, 150)
CANVAS = Canvas(content_px=FRAME, padded_px=(96, 160), grid=(12, 20))
CPU = torch.device("cpu")
LEVEL = torch.randn(4, 12, 20, generator=torch.Generator().manual_seed(0))


def sample(*prompts: VisualPrompt, number: int = 6, choice: CellChoice = CellChoice.SPREAD) -> ObjectTokens:
    return sample_prompts(LEVEL, 3, prompts, CANVAS, SamplerOptions(number, number, choice))


def rectangle(top: int, left: int, bottom: int, right: int) -> Tensor:
    mask = torch.zeros(FRAME, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def test_a_box_and_its_mask_cover_the_same_cells() -> None:
    box = BoxPrompt(1, 0, (24 / 150, 16 / 90, 72 / 150, 64 / 90))
    mask = MaskPrompt(1, 0, rectangle(16, 24, 64, 72))
    by_box = prompt_region(box, CANVAS, CellChoice.SPREAD, CPU)
    by_mask = prompt_region(mask, CANVAS, CellChoice.SPREAD, CPU)
    assert torch.equal(by_box, by_mask)
    assert by_box.sum() == 6 * 6


@pytest.mark.parametrize(
    "prompt",
    [
        BoxPrompt(1, 0, (0.5, 0.5, 0.501, 0.501)),
        BoxPrompt(1, 0, (0.99, 0.99, 1.0, 1.0)),
        MaskPrompt(1, 0, rectangle(45, 75, 46, 76)),
        MaskPrompt(1, 0, rectangle(0, 75, 90, 76)),
        ScribblePrompt(1, 0, ((0.5, 0.5),)),
        ScribblePrompt(1, 0, ((1.0, 1.0), (1.0, 1.0))),
    ],
)
def test_however_small_a_prompt_covers_a_cell(prompt: BoxPrompt | MaskPrompt | ScribblePrompt) -> None:
    assert prompt_region(prompt, CANVAS, CellChoice.SPREAD, CPU).any()


def test_a_mask_may_have_any_size() -> None:
    large = MaskPrompt(1, 0, rectangle(16, 24, 64, 72).repeat_interleave(4, 0).repeat_interleave(4, 1))
    small = MaskPrompt(1, 0, rectangle(16, 24, 64, 72))
    regions = [prompt_region(prompt, CANVAS, CellChoice.SPREAD, CPU) for prompt in (large, small)]
    assert torch.equal(*regions)


def test_a_scribble_covers_a_connected_line_of_its_width() -> None:
    thin = prompt_region(ScribblePrompt(1, 0, ((0.1, 0.1), (0.9, 0.9))), CANVAS, CellChoice.SPREAD, CPU)
    wide = prompt_region(ScribblePrompt(1, 0, ((0.1, 0.1), (0.9, 0.9)), 0.3), CANVAS, CellChoice.SPREAD, CPU)
    columns = thin.any(dim=0).nonzero().flatten()
    assert len(columns) == int(columns.max() - columns.min()) + 1
    assert thin.sum() < wide.sum()
    assert (wide | ~thin).all()


def test_the_published_threshold_selects_everything_when_all_masks_vanish() -> None:
    speck = torch.zeros(1, 96, 160, dtype=torch.bool)
    speck[0, 3, 3] = True
    assert mask_regions(speck, (12, 20), CellChoice.RASTER).all()
    assert mask_regions(speck, (12, 20), CellChoice.SPREAD).sum() == 1


def test_clicks_come_first_and_negative_ones_are_marked() -> None:
    tokens = sample(
        MaskPrompt(1, 3, rectangle(16, 24, 64, 72)),
        PointPrompt(1, 3, ((0.3, 0.4), (0.2, 0.3)), (True, False)),
    ).foreground
    row, column = int(0.3 * 90 / 8), int(0.2 * 150 / 8)
    assert tokens.is_negative[0].tolist() == [False, True, False, False, False, False]
    assert int(tokens.places[0, 1]) == row * 20 + column
    assert row * 20 + column not in tokens.cells[0].tolist()
    assert tokens.frame_indices.tolist() == [3]


def test_published_clicks_fill_all_tokens() -> None:
    tokens = sample(PointPrompt(1, 3, ((0.3, 0.4),), (True,)), choice=CellChoice.RASTER).foreground
    assert len(set(tokens.cells[0].tolist())) == 1
    ours = sample(PointPrompt(1, 3, ((0.3, 0.4),), (True,))).foreground
    assert ours.is_padding[0].tolist() == [False] + [True] * 5


def test_only_known_extents_have_background() -> None:
    scribble = ScribblePrompt(1, 3, ((0.1, 0.1), (0.5, 0.5)))
    assert sample(scribble).background.is_padding.all()
    assert not sample(BoxPrompt(1, 3, (0.2, 0.2, 0.6, 0.6))).background.is_padding.any()


def test_masks_of_a_batch_are_sampled_as_alone() -> None:
    level = torch.randn(2, 4, 12, 20)
    masks = torch.rand(2, 3, 24, 40) > 0.7
    options = SamplerOptions(6, 4)
    together = sample_masks(level, masks, torch.tensor([5, 9]), options)
    alone = sample_masks(level[1:], masks[1:, 2:], torch.tensor([9]), options)
    for side, own in ((together.foreground, alone.foreground), (together.background, alone.background)):
        assert torch.equal(side.cells[1, 2], own.cells[0, 0])
        assert torch.equal(side.features[1, 2], own.features[0, 0])
        assert side.frame_indices[1, 2].tolist() == [9]


def test_an_empty_mask_gives_padding_only() -> None:
    tokens = sample_masks(
        LEVEL[None], torch.zeros(1, 1, 96, 160, dtype=torch.bool), torch.tensor([0]), SamplerOptions(4, 4)
    )
    assert tokens.foreground.is_padding.all()
    assert tokens.background.is_padding.all()
    assert (tokens.foreground.features == 0).all()
