import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from univs.losses.classes import class_loss, focal_loss, presence_loss
from univs.losses.identity import identity_loss
from univs.losses.masks import dice_loss, mask_loss, pairwise_cross_entropy, pairwise_dice
from univs.losses.matcher import MatchCosts, match
from univs.losses.points import PointSampling, random_points, sample_at, uncertain_points
from univs.losses.report import LossParts, LossWeights


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _random_masks(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=_generator()) > 0.5


def test_points_at_pixel_centres_read_the_pixels() -> None:
    maps = torch.rand(2, 4, 5)
    y, x = torch.meshgrid(torch.arange(4), torch.arange(5), indexing="ij")
    centres = torch.stack([(x + 0.5) / 5, (y + 0.5) / 4], dim=-1).flatten(0, 1)
    assert torch.allclose(sample_at(maps, centres.expand(2, -1, -1)), maps.flatten(1), atol=1e-6)


def test_uncertain_points_gather_where_the_logit_is_near_zero() -> None:
    ramp = torch.linspace(-8, 8, 64).expand(1, 32, 64)
    sampling = PointSampling(num_points=200, uncertain_share=1.0)
    points = uncertain_points(ramp, sampling, _generator())
    anywhere = random_points(1, 200, ramp, _generator())
    assert points.shape == (1, 200, 2)
    assert sample_at(ramp, points).abs().max() < 0.6 * sample_at(ramp, anywhere).abs().max()


def test_dice_is_the_plain_formula() -> None:
    logits, labels = torch.randn(3, 50), _random_masks(3, 50).float()
    for row in range(3):
        p, y = logits[row].sigmoid(), labels[row]
        expected = 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
        assert dice_loss(logits, labels)[row] == pytest.approx(float(expected), abs=1e-6)


def test_mask_loss_is_cross_entropy_and_dice_where_all_points_are_alike() -> None:
    logits = torch.full((1, 2, 1, 4, 4), 0.7)
    masks = torch.ones(1, 2, 1, 8, 8, dtype=torch.bool)
    loss = mask_loss(logits, masks, torch.ones(1, 2, 1, dtype=torch.bool), PointSampling(100), _generator())
    probability = 1 / (1 + math.exp(-0.7))
    assert float(loss.cross_entropy) == pytest.approx(-math.log(probability), abs=1e-5)
    expected_dice = 1 - (2 * 100 * probability + 1) / (100 * probability + 100 + 1)
    assert float(loss.dice) == pytest.approx(expected_dice, abs=1e-5)


def test_padded_slots_change_no_mask_loss() -> None:
    logits, masks = torch.randn(2, 3, 2, 8, 8), _random_masks(2, 3, 2, 16, 16)
    is_counted = torch.ones(2, 3, 2, dtype=torch.bool)
    sampling = PointSampling(64)
    loss = mask_loss(logits, masks, is_counted, sampling, _generator())
    padding = torch.full((2, 1, 2, 8, 8), 1e4)
    padded = mask_loss(
        torch.cat([logits, padding], dim=1),
        functional.pad(masks, (0, 0, 0, 0, 0, 0, 0, 1)),
        functional.pad(is_counted, (0, 0, 0, 1)),
        sampling,
        _generator(),
    )
    assert torch.equal(loss.cross_entropy, padded.cross_entropy)
    assert torch.equal(loss.dice, padded.dice)


def test_no_objects_give_no_loss_and_a_zero_gradient() -> None:
    logits = torch.randn(1, 2, 1, 4, 4, requires_grad=True)
    masks = torch.zeros(1, 2, 1, 8, 8, dtype=torch.bool)
    loss = mask_loss(logits, masks, torch.zeros(1, 2, 1, dtype=torch.bool), PointSampling(10), _generator())
    torch.autograd.backward(loss.cross_entropy + loss.dice)
    assert loss.cross_entropy.item() == loss.dice.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_pairwise_costs_are_the_losses_of_each_pair() -> None:
    logits, labels = torch.randn(4, 30), _random_masks(3, 30).float()
    entropy, dice = pairwise_cross_entropy(logits, labels), pairwise_dice(logits, labels)
    for query in range(4):
        for row in range(3):
            expected = functional.binary_cross_entropy_with_logits(logits[query], labels[row])
            assert float(entropy[query, row]) == pytest.approx(float(expected), abs=1e-5)
            expected_dice = dice_loss(logits[query : query + 1], labels[row : row + 1])
            assert float(dice[query, row]) == pytest.approx(float(expected_dice), abs=1e-5)


def test_matcher_finds_the_queries_that_drew_the_objects() -> None:
    masks = torch.zeros(3, 2, 16, 16, dtype=torch.bool)
    masks[0, :, :5], masks[1, :, 8:, :8], masks[2, :, 8:, 8:] = True, True, True
    logits = torch.full((6, 2, 16, 16), -5.0)
    for query, row in ((4, 0), (0, 1), (5, 2)):
        logits[query] = masks[row].float() * 10 - 5
    found = match(logits, None, masks, torch.full((3,), -1), costs=MatchCosts(num_points=200), generator=_generator())
    pairs = dict(zip(found.object_rows.tolist(), found.query_rows.tolist(), strict=True))
    assert pairs == {0: 4, 1: 0, 2: 5}


def test_class_decides_between_equal_masks_unless_it_is_unknown() -> None:
    masks = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    logits = torch.zeros(2, 1, 8, 8)
    class_logits = torch.tensor([[-6.0, 6.0], [6.0, -6.0]])
    found = match(
        logits, class_logits, masks, torch.tensor([0, 1]), costs=MatchCosts(num_points=10), generator=_generator()
    )
    assert found.object_rows[found.query_rows.argsort()].tolist() == [1, 0]
    unknown = match(
        logits, class_logits, masks, torch.tensor([-1, -1]), costs=MatchCosts(num_points=10), generator=_generator()
    )
    assert len(unknown.query_rows) == 2


def test_matcher_takes_no_objects_and_more_objects_than_queries() -> None:
    logits = torch.randn(2, 1, 8, 8)
    nothing = match(
        logits, None, torch.zeros(0, 1, 8, 8, dtype=torch.bool), torch.zeros(0, dtype=torch.int64), costs=MatchCosts()
    )
    assert len(nothing.query_rows) == 0
    many = match(logits, None, _random_masks(5, 1, 8, 8), torch.full((5,), -1), costs=MatchCosts(num_points=20))
    assert sorted(many.query_rows.tolist()) == [0, 1]


def test_focal_loss_is_the_plain_formula() -> None:
    logits, labels = torch.randn(20), _random_masks(20).float()
    p = logits.sigmoid()
    expected = torch.where(labels > 0, -0.5 * (1 - p) ** 2 * p.log(), -0.5 * p**2 * (1 - p).log())
    assert torch.allclose(focal_loss(logits, labels), expected, atol=1e-6)


def test_padded_classes_and_uncounted_queries_change_no_class_loss() -> None:
    logits = torch.randn(4, 5)
    category_ids, is_counted = torch.tensor([2, -1, 4, -1]), torch.tensor([True, True, True, True])
    expected = class_loss(logits, category_ids, is_counted, num_classes=5)
    padded = class_loss(
        functional.pad(logits, (0, 3, 0, 2), value=9.0),
        functional.pad(category_ids, (0, 2), value=1),
        functional.pad(is_counted, (0, 2), value=False),
        num_classes=5,
    )
    assert torch.allclose(expected, padded)


def test_class_loss_without_objects_asks_queries_to_name_nothing() -> None:
    nobody = torch.full((3,), -1)
    counted = torch.ones(3, dtype=torch.bool)
    sure = class_loss(torch.full((3, 4), 5.0), nobody, counted, num_classes=4)
    silent = class_loss(torch.full((3, 4), -5.0), nobody, counted, num_classes=4)
    assert float(sure) > 1.0
    assert float(silent) < 0.01
    assert float(class_loss(torch.full((3, 4), 5.0), nobody, ~counted, num_classes=4)) == 0.0


def test_presence_loss_is_cross_entropy_over_what_is_counted() -> None:
    logits, truth = torch.randn(2, 3, 2), _random_masks(2, 3, 2)
    counted = torch.zeros(2, 3, 2, dtype=torch.bool)
    counted[0, :2] = True
    expected = functional.binary_cross_entropy_with_logits(logits[0, :2], truth[0, :2].float())
    assert torch.allclose(presence_loss(logits, truth, counted), expected)
    assert float(presence_loss(logits, truth, torch.zeros_like(counted))) == 0.0


def test_contrastive_loss_is_the_plain_formula() -> None:
    rows = torch.randn(5, 8, generator=_generator())
    identities = torch.tensor([0, 0, 1, 1, -1])
    similarity = rows @ rows.T / math.sqrt(8)
    expected = []
    for anchor, positive, negatives in ((0, 1, (2, 3, 4)), (1, 0, (2, 3, 4)), (2, 3, (0, 1, 4)), (3, 2, (0, 1, 4))):
        gaps = [min(10.0, float(similarity[anchor, n] - similarity[anchor, positive])) for n in negatives]
        expected.append(math.log(1 + sum(math.exp(gap) for gap in gaps)))
    loss = identity_loss(rows, identities)
    assert float(loss.contrastive) == pytest.approx(sum(expected) / 4, abs=1e-5)


def test_identity_loss_falls_as_objects_part_and_is_zero_without_pairs() -> None:
    identities = torch.tensor([0, 0, 1, 1])
    mixed = identity_loss(torch.ones(4, 8), identities)
    apart = identity_loss(torch.eye(8)[[0, 0, 1, 1]] * 10, identities)
    assert float(apart.contrastive) < float(mixed.contrastive)
    assert float(apart.auxiliary) < float(mixed.auxiliary)
    alone = identity_loss(torch.randn(3, 8, requires_grad=True), torch.tensor([0, 1, -1]))
    torch.autograd.backward(alone.contrastive)
    assert alone.contrastive.item() == alone.auxiliary.item() == 0.0


def test_parts_are_averaged_and_weighted() -> None:
    ones = LossParts(*(torch.tensor(1.0) for _ in range(6)))
    mean = LossParts.mean([ones, LossParts.zeros(torch.zeros(1))])
    weights = LossWeights(1, 2, 3, 4, 5, 6)
    assert float(mean.total(weights)) == pytest.approx(21 / 2)


def test_impossible_sampling_is_refused() -> None:
    with pytest.raises(ValueError, match="uncertain_share"):
        PointSampling(uncertain_share=1.5)
