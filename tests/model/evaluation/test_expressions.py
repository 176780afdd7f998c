"""Present and absent expressions: what presence tells apart, and how clips are asked."""

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model.data.sources import write_davis

from univs.config import tiny
from univs.data.formats.davis import Davis2016
from univs.errors import InputError
from univs.evaluation.expressions import (
    ExpressionsReport,
    Sighting,
    absent_expressions,
    area_under_roc,
    evaluate_expressions,
)
from univs.evaluation.vos import ClipScore
from univs.inference.options import paper
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.prompt_encoder.text import TextFeatures

# Real clips lie beside the checkout where they are at hand; they are no part of the project.
_DAVIS = Path(__file__).parents[4] / "shared" / "data" / "davis2016"
_SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=8)


def test_area_under_roc_of_a_case_by_hand() -> None:
    """Pairs (3, 1), (3, 2), (2, 1) are right, (2, 2) is even: 3.5 of 4."""
    assert area_under_roc([3.0, 2.0], [1.0, 2.0]) == 3.5 / 4
    assert np.isnan(area_under_roc([], [1.0]))


@given(_SCORES, _SCORES)
@settings(max_examples=50, deadline=None)
def test_area_under_roc_is_the_integral_of_the_curve(positives: list[float], negatives: list[float]) -> None:
    """The curve of hits over false alarms, from the strictest threshold to the laxest, by trapezoids."""
    thresholds = [np.inf, *sorted({*positives, *negatives}, reverse=True)]
    hits = [np.mean([value >= each for value in positives]) for each in thresholds]
    alarms = [np.mean([value >= each for value in negatives]) for each in thresholds]
    assert area_under_roc(positives, negatives) == pytest.approx(float(np.trapezoid(hits, alarms)))
    assert area_under_roc(negatives, positives) == pytest.approx(1 - area_under_roc(positives, negatives))


def test_report_of_a_case_by_hand() -> None:
    """Two clips: J&F means over what is there; false alarms over what is not."""
    report = ExpressionsReport(
        (
            Sighting("a", "the dog", ClipScore("a", 0.5, 0.7, 4), presence=0.9, first_presence=0.2, drawn=1.0),
            Sighting("a", "the cat", None, presence=0.1, first_presence=0.3, drawn=0.25),
            Sighting("b", "the cat", ClipScore("b", 0.1, 0.3, 4), presence=0.6, first_presence=0.4, drawn=0.5),
            Sighting("b", "the dog", None, presence=0.6, first_presence=0.1, drawn=0.0),
        )
    )
    table = report.table()
    (row,) = table.rows
    #            J&F  J    F    AUC: 3.5 / 4     first: 3 / 4 false alarms missed
    expected = (0.4, 0.3, 0.5, 3.5 / 4, 3 / 4, 0.125, 0.25)
    assert row.values == pytest.approx(expected)
    assert [each.name for each in table.clips] == ["a", "b"]
    assert [each.values[0] for each in table.clips] == pytest.approx([0.6, 0.2])


def test_absent_expressions_name_no_category_of_the_clip(tmp_path: Path) -> None:
    source = Davis2016(_clips(tmp_path), "test")
    assert absent_expressions(source, 0, 4) == ("the rider", "the cat")
    assert absent_expressions(source, 1, 1) == ("the cat",)  # the person on foot might be the rider
    assert absent_expressions(source, 3, 4) == ("the dog", "the rider", "a person on foot")


@pytest.mark.skipif(not _DAVIS.is_dir(), reason="DAVIS 2016 does not lie beside this checkout")
def test_clips_of_davis_are_not_asked_for_what_they_show() -> None:
    """Of the dev clips two show dogs, one a car, one a bird, one a rider on a scooter."""
    source = Davis2016(_DAVIS, "dev")
    for item_index, clip in enumerate(source.clips):
        absent = absent_expressions(source, item_index, 4)
        assert clip.expression not in absent
        assert not any(name in text for name in clip.categories for text in absent)
        assert len(absent) == (3 if clip.categories == {"dog"} else 4)


def test_clips_are_asked_for_what_is_there_and_for_what_is_not(tmp_path: Path) -> None:
    source = Davis2016(_clips(tmp_path), "test")
    ticks: list[int] = []
    report = evaluate_expressions(source, _opened, lambda: ticks.append(1), num_absent=1)
    assert len(ticks) == 4 * 5
    assert [(each.clip, each.score is not None) for each in report.sightings[:2]] == [
        ("square", True),
        ("square", False),
    ]
    assert len(report.sightings) == 8
    for each in report.sightings:
        assert 0 <= each.presence <= 1 and 0 <= each.drawn <= 1
        assert each.score is None or each.score.num_frames == 5
    alone = evaluate_expressions(source, _opened, lambda: None, num_absent=0)
    assert np.isnan(alone.presence_auc)
    assert alone.referring == report.referring  # questions for absent things change nothing


def test_clip_without_expression_is_named(tmp_path: Path) -> None:
    root = write_davis(tmp_path)
    (root / "expressions.json").unlink()
    with pytest.raises(InputError, match="expression for clip 'square'"):
        evaluate_expressions(Davis2016(root, "test"), _opened, lambda: None)


class _Words:
    """A text encoder in which each text has a place of its own."""

    text_dim = 32

    def encode(self, texts: list[str]) -> TextFeatures:
        rows = torch.stack(
            [torch.randn(32, generator=torch.Generator().manual_seed(sum(text.encode()))) for text in texts]
        )
        return TextFeatures(rows, rows[:, None].repeat(1, 2, 1))

    def encode_names(self, names: list[str]) -> torch.Tensor:
        return self.encode(names).sentences


@cache
def _model() -> UniVS:
    torch.manual_seed(3)
    model = UniVS(tiny())
    model.text_encoder = _Words()
    return model.eval().requires_grad_(False)


def _opened(frame_size: tuple[int, int]) -> VideoSegmenter:
    return VideoSegmenter(_model(), paper(64), frame_size)


def _clips(root: Path) -> Path:
    """Write four clips of five frames."""
    write_davis(root)
    for name in ("second", "third", "fourth"):
        for folder in ("JPEGImages", "Annotations"):
            shutil.copytree(root / folder / "480p" / "square", root / folder / "480p" / name)
    said = {
        "square": ("the dog", "dog"),
        "second": ("the rider", "person+horse"),
        "third": ("a person on foot", "person+dog"),
        "fourth": ("the cat", "cat"),
    }
    content = {"sequences": {name: {"expression": text, "category": kind} for name, (text, kind) in said.items()}}
    (root / "expressions.json").write_text(json.dumps(content), encoding="utf-8")
    (root / "ImageSets" / "test.txt").write_text("\n".join(said) + "\n", encoding="utf-8")
    return root
