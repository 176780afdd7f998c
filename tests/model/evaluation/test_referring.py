import pytest

from univs.errors import InputError
from univs.evaluation.objects import score_objects, summarize
from univs.evaluation.referring import over_annotators, over_expressions
from univs.evaluation.vos import score_clip

from .shapes import labels


def test_every_expression_weighs_the_same() -> None:
    """One expression with J 1 and 0 in two frames, one with J 1 in one frame: (1/2 + 1) / 2."""
    square, nothing = labels("110 110 000") > 0, labels("000 000 000") > 0
    half = score_clip("clip/0", [(square, square), (nothing, square)])
    whole = score_clip("clip/1", [(square, square)])
    report = over_expressions([half, whole])
    assert (report.region, report.boundary, report.num_scored) == pytest.approx((3 / 4, 3 / 4, 2))
    assert report.mean == pytest.approx(3 / 4)


def test_annotators_are_averaged_after_their_objects() -> None:
    """Annotator one finds both objects of the clip, annotator two one of them: (1 + 1/2) / 2."""
    truth = labels("1100 1100 0022")
    reports = [
        summarize(score_objects("clip", [(predicted, truth)], (1, 2)))
        for predicted in (truth, labels("1100 1100 0000"))
    ]
    report = over_annotators(reports)
    assert (report.region, report.num_scored) == pytest.approx((3 / 4, 2))


def test_nothing_to_average_is_refused() -> None:
    with pytest.raises(InputError, match="at least one score"):
        over_expressions([])
