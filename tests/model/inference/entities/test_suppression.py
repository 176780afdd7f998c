import torch
from torchvision.ops import box_iou, masks_to_boxes  # type: ignore[import-untyped]

from univs.inference.entities.suppression import box_overlaps, kept, mask_boxes, mask_overlaps


def some_masks(number: int = 6, num_frames: int = 3) -> torch.Tensor:
    return torch.rand(number, num_frames, 9, 13, generator=torch.Generator().manual_seed(2)) > 0.93


def test_boxes_lie_around_masks_and_end_beyond_the_last_pixel() -> None:
    masks = some_masks()
    masks = masks[masks.flatten(2).any(dim=2)]
    expected = masks_to_boxes(masks)
    expected[:, 2:] += 1
    assert torch.equal(mask_boxes(masks), expected)


def test_an_empty_mask_has_no_box_and_overlaps_nothing() -> None:
    masks = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    assert mask_boxes(masks).count_nonzero() == 0
    assert box_overlaps(mask_boxes(masks)).count_nonzero() == 0
    assert mask_overlaps(masks, masks).count_nonzero() == 0


def test_boxes_overlap_as_much_as_in_their_best_frame() -> None:
    boxes = mask_boxes(some_masks())
    expected = torch.stack([box_iou(boxes[:, frame], boxes[:, frame]) for frame in range(3)]).nan_to_num().amax(dim=0)
    torch.testing.assert_close(box_overlaps(boxes), expected)


def test_masks_overlap_by_intersection_over_union() -> None:
    left, right = some_masks(4), some_masks(5)
    found = mask_overlaps(left, right)
    assert found.shape == (4, 5, 3)
    both, either = (left[1, 2] & right[3, 2]).sum(), (left[1, 2] | right[3, 2]).sum()
    assert float(found[1, 3, 2]) == float(both / either)


def test_what_overlaps_something_better_is_dropped() -> None:
    overlaps = torch.tensor([[1.0, 0.2, 0.9], [0.2, 1.0, 0.5], [0.9, 0.5, 1.0]])
    assert kept(overlaps, 0.8).tolist() == [True, True, False]
    assert kept(overlaps, 0.95).tolist() == [True, True, True]
    assert kept(torch.zeros(0, 0), 0.8).tolist() == []
