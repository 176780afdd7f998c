import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from univs.losses.classes import class_loss, focal_loss
from univs.losses.contrastive import NOBODY, ContrastiveSettings, Embedded, pairing_loss, pairings_loss
from univs.losses.identity import identity_loss
from univs.losses.settings import of_long_clips, paper, released

_ALL = ContrastiveSettings(num_negatives=100, background_share=0.5)
_RELEASED = ContrastiveSettings(num_negatives=4, background_share=0.25, counts_itself=True, averages_pairs=False)


def _embedded(identities: list[int], seed: int = 0) -> Embedded:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(identities), 8, generator=generator, dtype=torch.float64)
    return Embedded(rows, torch.tensor(identities))


def _scores(left: Tensor, right: Tensor) -> list[list[float]]:
    return [
        [sum(a * b for a, b in zip(x, y, strict=True)) / math.sqrt(8) for y in right.tolist()] for x in left.tolist()
    ]


def _cosines(left: Tensor, right: Tensor) -> list[list[float]]:
    found = functional.cosine_similarity(left[:, None], right[None], dim=2).clamp(min=0)
    return [[float(value) for value in row] for row in found]


def _smooth_l1(x: float) -> float:
    return 0.5 * x * x if abs(x) < 1 else abs(x) - 0.5


def test_pairing_across_sets_is_the_plain_formula() -> None:
    anchors, columns = _embedded([3, 5, 5, 9], 1), _embedded([5, 3, 5, 7], 2)
    scores, cosines = _scores(anchors.rows, columns.rows), _cosines(anchors.rows, columns.rows)
    entropies, pairs = [], []
    for row, identity in enumerate(anchors.identities.tolist()):
        same = [column for column, other in enumerate(columns.identities.tolist()) if other == identity]
        others = [column for column in range(4) if column not in same]
        if not same:
            continue  # 9 has no partner: it is no anchor
        positive = sum(scores[row][column] for column in same) / len(same)
        entropies.append(math.log(1 + sum(math.exp(min(10.0, scores[row][c] - positive)) for c in others)))
        pairs += [_smooth_l1(cosines[row][c] - (c in same)) for c in range(4)]
    loss = pairing_loss(anchors, columns, _ALL, is_same_set=False)
    assert float(loss.contrastive) == pytest.approx(sum(entropies) / len(entropies), rel=1e-5)
    assert float(loss.auxiliary) == pytest.approx(sum(pairs) / len(pairs), rel=1e-5)


def test_pairing_of_a_set_with_itself_is_the_identity_loss() -> None:
    columns = _embedded([0, 0, 1, 1, 1, NOBODY, NOBODY])
    loss = pairing_loss(columns.of_objects, columns, _ALL, is_same_set=True)
    expected = identity_loss(columns.rows, columns.identities, num_negatives=100)
    assert float(loss.contrastive) == pytest.approx(float(expected.contrastive), rel=1e-5)
    assert float(loss.auxiliary) == pytest.approx(float(expected.auxiliary), rel=1e-5)


def test_released_pairing_counts_itself_and_three_negatives_of_objects_to_one_of_background() -> None:
    columns = _embedded([0, 0, 1, 1, 2, 2, 2, NOBODY, NOBODY, NOBODY])
    rows, identities = columns.rows, columns.identities.tolist()
    scores, cosines = _scores(rows, rows), _cosines(rows, rows)
    entropies, auxiliary = [], []
    for row in range(7):
        same = [c for c in range(10) if identities[c] == identities[row]]
        objects = sorted((c for c in range(7) if c not in same), key=lambda c, row=row: -scores[row][c])[:3]  # type: ignore[misc]
        nobody = sorted(range(7, 10), key=lambda c, row=row: -scores[row][c])[:1]  # type: ignore[misc]
        mean = sum(scores[row][c] for c in same) / len(same)
        first = scores[row][same[0]]
        gaps = [min(10.0, scores[row][c] - p) for p in (mean, first) for c in (*objects, *nobody)]
        entropies.append(math.log(1 + sum(math.exp(gap) for gap in gaps)))
        auxiliary.append(sum(_smooth_l1(cosines[row][c] - (c in same)) for c in (*same, *objects, *nobody)))
    loss = pairing_loss(columns.of_objects, columns, _RELEASED, is_same_set=True)
    assert float(loss.contrastive) == pytest.approx(sum(entropies) / 7, rel=1e-5)
    assert float(loss.auxiliary) == pytest.approx(sum(auxiliary) / 7, rel=1e-5)


def test_gap_is_cut_at_ten() -> None:
    rows = torch.tensor([[100.0, 0.0], [-100.0, 1.0], [100.0, 1.0]], dtype=torch.float64)
    columns = Embedded(rows, torch.tensor([0, 0, 1]))
    loss = pairing_loss(columns.of_objects, columns, _ALL, is_same_set=True)
    # Row 0: its positive is opposite, its negative alike, so cut. Row 1: its negative lies just beyond its positive.
    far = (-100.0 * 100 + 1) / math.sqrt(2) - (-100.0 * 100) / math.sqrt(2)
    expected = (math.log1p(math.exp(10)) + math.log1p(math.exp(far))) / 2
    assert float(loss.contrastive) == pytest.approx(expected, rel=1e-5)


def test_three_pairings_are_averaged_and_categories_leave_one_auxiliary_out() -> None:
    learnable, prompts = _embedded([0, 0, 1, 1, NOBODY], 1), _embedded([0, 0, 1, 1], 2)
    parts = [
        pairing_loss(learnable.of_objects, learnable, _ALL, is_same_set=True),
        pairing_loss(learnable.of_objects, prompts, _ALL, is_same_set=False),
        pairing_loss(prompts, prompts, _ALL, is_same_set=True),
    ]
    both = pairings_loss(learnable, prompts, _ALL)
    named = pairings_loss(learnable, prompts, _ALL, is_category=True)
    assert both is not None
    assert named is not None
    assert float(both.contrastive) == pytest.approx(sum(float(part.contrastive) for part in parts) / 3)
    assert float(both.auxiliary) == pytest.approx(sum(float(part.auxiliary) for part in parts) / 3)
    assert float(named.contrastive) == pytest.approx(float(both.contrastive))
    assert float(named.auxiliary) == pytest.approx((float(parts[0].auxiliary) + float(parts[2].auxiliary)) / 3)
    alone = pairings_loss(None, prompts, _ALL)
    assert alone is not None
    assert float(alone.contrastive) == pytest.approx(float(parts[2].contrastive))
    assert pairings_loss(None, None, _ALL) is None


def test_no_positive_gives_no_loss_and_a_zero_gradient() -> None:
    anchors, columns = _embedded([0, 1], 1), _embedded([2, NOBODY], 2)
    anchors.rows.requires_grad_()
    loss = pairing_loss(anchors, columns, _ALL, is_same_set=False)
    torch.autograd.backward(loss.contrastive + loss.auxiliary)
    assert loss.contrastive.item() == loss.auxiliary.item() == 0.0
    assert anchors.rows.grad is not None
    assert not anchors.rows.grad.any()


def test_random_choice_keeps_to_its_numbers_and_to_others() -> None:
    settings = ContrastiveSettings(num_negatives=2, background_share=0.0, is_random=True, num_positives=1)
    rows = torch.zeros(6, 4, dtype=torch.float64)  # all similarities are 0, so that a loss counts what was chosen
    columns = Embedded(rows, torch.tensor([0, 0, 0, 1, 1, 1]))
    loss = pairing_loss(columns, columns, settings, is_same_set=True)
    assert float(loss.contrastive) == pytest.approx(math.log(1 + 2))
    # zero vectors have cosine 0: a positive costs 1/2, a negative nothing; one positive and two negatives a row
    assert float(loss.auxiliary) == pytest.approx(0.5 / 3)


def test_class_loss_of_the_paper_is_the_focal_part_alone() -> None:
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    wanted, counted = torch.tensor([2, -1, 4, -1]), torch.ones(4, dtype=torch.bool)
    labels = torch.zeros(4, 5)
    labels[0, 2] = labels[2, 4] = 1
    focal = focal_loss(logits, labels).sum() / 2
    both = focal - (logits[0].log_softmax(0)[2] + logits[2].log_softmax(0)[4]) / 2
    assert torch.allclose(class_loss(logits, wanted, counted, 5, with_softmax=False), focal)
    assert torch.allclose(class_loss(logits, wanted, counted, 5), both)


def test_paper_and_released_differ_where_they_are_said_to() -> None:
    weights, theirs = paper().weights, released().weights
    assert (weights.cross_entropy, weights.dice, weights.category, weights.contrastive) == (5.0, 5.0, 3.0, 0.5)
    assert (theirs.cross_entropy, theirs.dice, theirs.category, theirs.contrastive) == (5.0, 5.0, 5.0, 0.5)
    assert paper().costs == released().costs
    assert (released().costs.category, released().costs.num_points) == (3.0, 12544)
    assert (paper().points.uncertain_share, released().points.uncertain_share) == (0.75, 0.5)
    assert (paper().with_softmax, released().with_softmax) == (False, True)
    assert released(is_swin=True).weights.auxiliary == 0.25


def test_long_clips_halve_every_reid_weight_and_compare_clips() -> None:
    long = of_long_clips(released(is_swin=True))
    assert (long.weights.contrastive, long.weights.auxiliary) == (0.125, 0.125)
    assert replace(long.weights, contrastive=0.25, auxiliary=0.25) == released(is_swin=True).weights
    assert long.between_clips is not None
    assert (long.between_clips.num_positives, long.between_clips.num_negatives) == (3, 30)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="background_share"):
        ContrastiveSettings(background_share=2.0)
