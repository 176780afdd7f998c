import torch
from tests.model.parity.fixtures import compare, mask_iou
from tests.model.parity.report import ATTENTION, REPLAYED, Comparison, MaskIou, table


def test_a_comparison_survives_as_text() -> None:
    for iou in (None, MaskIou(1.0, 0.25)):
        comparison = Comparison("decoder", "float32", 1.5e-7, 98, 100, iou)
        assert Comparison.from_text(comparison.to_text()) == comparison


def test_the_table_shows_the_worst_and_what_is_missing() -> None:
    text = table(
        [
            Comparison("a", "float64", 1e-8, 5, 5),
            Comparison("a", "float64", 3e-8, 5, 5),
            Comparison("a", "float32", 1e-3, 1, 4, MaskIou(0.99, 0.5)),
            Comparison("a", REPLAYED, 1e-6, 4, 4),
            Comparison("a", ATTENTION, 2e-6, 1998, 2000),
        ],
        ["a", "b"],
    )
    assert "| a | 3.0e-08 | 25.00% | 0.9900 (0.5000) | 100.00% |  | 2 of 2,000 (2e-06) | 4 |" in text
    assert "| b | not compared | not compared |" in text


def test_masks_are_compared_together_and_each() -> None:
    expected = torch.tensor([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, -1.0, -1.0], [-1.0, -1.0, -1.0, -1.0]])
    got = expected.clone()
    got[1, 1] = 1.0
    assert mask_iou(got, expected) == MaskIou(0.75, 0.5)


def test_closeness_counts_entries() -> None:
    expected = torch.tensor([1.0, 2.0, 3.0, 4.0])
    comparison = compare(expected + torch.tensor([0.0, 0.0, 0.0, 0.1]), expected, "a")
    assert (comparison.num_close, comparison.num_entries, comparison.kind) == (3, 4, "float32")
    assert abs(comparison.error - 0.025) < 1e-6
