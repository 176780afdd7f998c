"""Samples to a batch."""

from collections.abc import Sequence

import torch

from univs.data.sample import UNKNOWN_CATEGORY, Batch, Sample


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of one clip length and frame size; pad the object slots with empty objects.

    Frames are never padded here: padding inside the network is visible to its norms and position encodings.

    Raises:
        ValueError: for no samples, or clips of different length or size.
    """
    shapes = {tuple(sample.images.shape) for sample in samples}
    if len(shapes) != 1:
        raise ValueError(f"a batch needs clips of one shape [T, 3, H, W], got {sorted(shapes)}; crop them alike")
    num_frames, _, height, width = samples[0].images.shape
    num_slots = max(1, *(len(sample.prompts) for sample in samples))
    masks = torch.zeros(len(samples), num_slots, num_frames, height, width, dtype=torch.bool)
    category_ids = torch.full((len(samples), num_slots), UNKNOWN_CATEGORY, dtype=torch.int64)
    is_padding = torch.ones(len(samples), num_slots, dtype=torch.bool)
    for row, sample in enumerate(samples):
        num_objects = len(sample.prompts)
        masks[row, :num_objects] = sample.masks
        category_ids[row, :num_objects] = sample.category_ids
        is_padding[row, :num_objects] = False
    return Batch(
        images=torch.stack([sample.images for sample in samples]),
        frame_indices=torch.stack([sample.frame_indices for sample in samples]),
        masks=masks,
        category_ids=category_ids,
        is_padding=is_padding,
        prompts=tuple(sample.prompts for sample in samples),
        vocabularies=tuple(sample.vocabulary for sample in samples),
        is_exhaustive=tuple(sample.is_exhaustive for sample in samples),
        texts=tuple(sample.texts for sample in samples),
        absent_names=tuple(sample.absent_names for sample in samples),
    )
