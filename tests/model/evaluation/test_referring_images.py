"""Expressions of pictures: figures by hand, and a network asked for every sentence."""

from pathlib import Path

import numpy as np
import pytest
from tests.model.data.miniatures import write_refcoco

from univs.data.formats.refcoco import open_refcoco
from univs.errors import InputError
from univs.evaluation.referring_images import COLUMNS, Overlap, evaluate_referring, overlap, summarize

from .test_expressions import _opened


def test_figures_of_a_case_by_hand() -> None:
    """IoU 0.75 of 40 pixels, 0.55 of 20, 0 of none: overall (30 + 11) / 60, mean 1.3 / 3; two lie above 0.5."""
    table = summarize([Overlap(30, 40), Overlap(11, 20), Overlap(0, 0)])
    (row,) = table.rows
    figures = dict(zip(COLUMNS, row.values, strict=True))
    assert figures == pytest.approx(
        {"oIoU": 41 / 60, "mIoU": 1.3 / 3, "P@0.5": 2 / 3, "P@0.6": 1 / 3, "P@0.7": 1 / 3, "P@0.8": 0.0, "P@0.9": 0.0}
    )
    with pytest.raises(InputError, match="at least one expression"):
        summarize([])


def test_overlap_counts_pixels() -> None:
    predicted, truth = np.zeros((2, 4, 4), dtype=np.bool_)
    predicted[:2], truth[1:] = True, True
    assert overlap(predicted, truth) == Overlap(4, 16)


def test_every_sentence_is_asked_for(tmp_path: Path) -> None:
    write_refcoco(tmp_path)
    ticks: list[int] = []
    source = open_refcoco(tmp_path, "train", "refcoco")
    (row,) = evaluate_referring(source, _opened, lambda: ticks.append(1)).rows
    assert len(ticks) == len(source.pictures) == 1
    assert all(0 <= value <= 1 for value in row.values)
