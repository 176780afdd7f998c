"""The loss of a window against cases worked by hand: all pixels alike, so that it does not matter which are drawn."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from univs.data.text_table import ClassTable
from univs.losses.contrastive import NOBODY
from univs.losses.matcher import MatchCosts
from univs.losses.points import PointSampling
from univs.losses.semantic import semantic_loss
from univs.losses.settings import paper
from univs.training.stages.criterion import Shares, window_loss
from univs.training.stages.targets import ObjectTargets, PromptTargets
from univs.types import Prediction, PromptKind

_POINTS = 64
_SETTINGS = replace(paper(), points=PointSampling(_POINTS), costs=MatchCosts(num_points=_POINTS))


def _prediction(values: list[float], num_learnable: int, class_logits: Tensor | None = None) -> Prediction:
    """Give one video of one frame, in which each query says one number everywhere."""
    logits = torch.tensor(values).view(1, -1, 1, 1, 1).expand(-1, -1, -1, 4, 4)
    return Prediction(logits, torch.eye(len(values))[None, :, None], class_logits, num_learnable)


def _objects(number: int, rows: list[int], *, is_exhaustive: bool = True) -> ObjectTargets:
    return ObjectTargets(
        masks=torch.ones(1, number, 1, 8, 8, dtype=torch.bool),
        is_object=torch.ones(1, number, dtype=torch.bool),
        class_rows=torch.tensor([rows]),
        identities=torch.arange(number)[None],
        is_exhaustive=(is_exhaustive,),
    )


def _prompts(is_drawn: list[bool], rows: list[int], kind: PromptKind = PromptKind.VISUAL) -> PromptTargets:
    drawn = torch.tensor([is_drawn])
    return PromptTargets(
        kind=kind,
        masks=drawn[:, :, None, None, None].expand(-1, -1, 1, 8, 8),
        is_prompt=torch.ones_like(drawn),
        is_drawn=drawn,
        class_rows=torch.tensor([rows]),
        identities=torch.where(drawn, torch.arange(len(rows))[None], NOBODY),
    )


def _table(num_classes: int) -> ClassTable:
    return ClassTable(torch.zeros(1, num_classes, 4), (num_classes,), torch.zeros(1, 1, dtype=torch.int64))


def _shares(objects: float, prompts: float) -> Shares:
    return Shares(torch.tensor(objects), torch.tensor(prompts), 1)


def _generators() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(0)]


def _dice(logit: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return 1 - (2 * _POINTS * p + 1) / (_POINTS * p + _POINTS + 1)


def test_learnable_queries_and_prompts_count_half_each() -> None:
    found = window_loss(
        _prediction([3.0, -2.0], 1),
        _objects(1, [-1]),
        _prompts([True], [-1]),
        None,
        _shares(1, 1),
        _SETTINGS,
        _generators(),
    )
    expected = (math.log1p(math.exp(-3)) + math.log1p(math.exp(2))) / 2
    assert float(found.parts.cross_entropy) == pytest.approx(expected, rel=1e-5)
    assert float(found.parts.dice) == pytest.approx((_dice(3.0) + _dice(-2.0)) / 2, rel=1e-5)
    assert float(found.parts.category) == 0.0


def test_prompts_alone_count_whole_and_layers_add_up() -> None:
    last = _prediction([-2.0], 0)
    deep = replace(last, auxiliary=(_prediction([1.0], 0), _prediction([0.5], 0)))
    found = window_loss(deep, None, _prompts([True], [-1]), None, _shares(1, 1), _SETTINGS, _generators())
    expected = sum(math.log1p(math.exp(-value)) for value in (-2.0, 1.0, 0.5))
    assert float(found.parts.cross_entropy) == pytest.approx(expected, rel=1e-5)
    assert len(found.embedded) == 3


def test_sums_are_divided_by_the_targets_of_all_processes() -> None:
    prediction, prompts = _prediction([-2.0, -2.0], 0), _prompts([True, True], [-1, -1])
    alone = window_loss(prediction, None, prompts, None, _shares(2, 2), _SETTINGS, _generators())
    shared = window_loss(prediction, None, prompts, None, _shares(8, 8), _SETTINGS, _generators())
    assert float(alone.parts.cross_entropy) == pytest.approx(math.log1p(math.exp(2)), rel=1e-5)
    assert float(shared.parts.cross_entropy) == pytest.approx(float(alone.parts.cross_entropy) / 4, rel=1e-5)


def test_the_query_that_drew_the_object_answers_for_it_and_names_it() -> None:
    class_logits = torch.tensor([[[-1.0, -2.0], [0.5, 2.0], [1.0, -3.0]]])
    found = window_loss(
        _prediction([-9.0, 9.0, -9.0], 3, class_logits),
        _objects(1, [1]),
        None,
        _table(2),
        _shares(1, 1),
        _SETTINGS,
        _generators(),
    )
    assert float(found.parts.cross_entropy) == pytest.approx(math.log1p(math.exp(-9)), rel=1e-3)
    focal = 0.0
    for query, row in enumerate(class_logits[0].tolist()):
        for column, logit in enumerate(row):
            p = 1 / (1 + math.exp(-logit))
            is_named = query == 1 and column == 1
            focal += -0.5 * (1 - p) ** 2 * math.log(p) if is_named else -0.5 * p**2 * math.log(1 - p)
    assert float(found.parts.category) == pytest.approx(focal, rel=1e-5)
    only = window_loss(
        _prediction([-9.0, 9.0, -9.0], 3, class_logits),
        _objects(1, [1], is_exhaustive=False),
        None,
        _table(2),
        _shares(1, 1),
        _SETTINGS,
        _generators(),
    )
    assert float(only.parts.category) < focal


def test_names_of_what_is_absent_have_a_class_loss_and_no_mask() -> None:
    class_logits = torch.tensor([[[4.0, -4.0], [-4.0, 4.0]]])
    prompts = _prompts([True, False], [0, 1], PromptKind.CATEGORY)

    def parts(absent_mask: float, absent_class: float) -> tuple[float, float]:
        classes = class_logits.clone()
        classes[0, 1, 1] = absent_class
        found = window_loss(
            _prediction([2.0, absent_mask], 0, classes),
            None,
            prompts,
            _table(2),
            _shares(1, 1),
            _SETTINGS,
            _generators(),
        )
        return float(found.parts.dice), float(found.parts.category)

    assert parts(-5.0, 4.0) == parts(5.0, 4.0)
    assert parts(-5.0, -4.0)[1] < parts(-5.0, 4.0)[1]


def test_semantic_loss_is_softmax_over_names_where_one_name_holds() -> None:
    masks = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    masks[0] = True
    logits = torch.tensor([1.0, 2.5]).view(2, 1, 1, 1).expand(-1, -1, 4, 4)
    loss = semantic_loss(logits, masks, PointSampling(_POINTS), torch.Generator().manual_seed(0))
    assert float(loss) == pytest.approx(math.log1p(math.exp(1.5)), rel=1e-5)
    both = semantic_loss(logits, torch.ones_like(masks), PointSampling(_POINTS), torch.Generator().manual_seed(0))
    nothing = semantic_loss(logits[:0], masks[:0], PointSampling(_POINTS))
    assert float(both) == float(nothing) == 0.0
