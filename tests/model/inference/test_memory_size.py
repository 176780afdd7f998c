"""What a session keeps: a fixed number of bytes per object, as the formula says, however long the video is."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from univs.config import tiny
from univs.inference.framing import Framing
from univs.inference.memory_size import MemorySize
from univs.inference.options import InferenceOptions, released_vos
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.types import BoxPrompt, Clip, Frame, MaskPrompt

SIZE = (32, 48)
ALONE = InferenceOptions(short_side_px=32, presence_threshold=0.0, consistency_threshold=-1.0, minimum_quality=0.0)
TOGETHER = replace(released_vos(), clip_length=3, short_side_px=32, tokens_per_frame=8, memory_frames=4)


@pytest.fixture(scope="module")
def model() -> Iterator[UniVS]:
    torch.manual_seed(3)
    yield UniVS(tiny()).optimize_for_inference()


def frame(index: int) -> Frame:
    generator = torch.Generator().manual_seed(index % 97)
    return Frame(
        index, index, Fraction(1, 25), torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8, generator=generator)
    )


def box(object_id: int, frame_index: int = 0) -> BoxPrompt:
    left = (object_id % 5) / 10
    return BoxPrompt(object_id, frame_index, (left, 0.1, left + 0.4, 0.9))


def size_of(model: UniVS, options: InferenceOptions, frame_size: tuple[int, int] = SIZE) -> MemorySize:
    framing = Framing.fit(frame_size, options.short_side_px, options.long_side_max_px)
    return MemorySize.of(model.config, options, framing)


def run(segmenter: VideoSegmenter, stop: int) -> None:
    for index in range(segmenter.next_frame, stop):
        segmenter.step(Clip((frame(index),)))


@pytest.mark.parametrize("options", [ALONE, TOGETHER], ids=["alone", "together"])
def test_a_session_keeps_the_bytes_of_the_formula_at_any_frame(model: UniVS, options: InferenceOptions) -> None:
    segmenter = VideoSegmenter(model, options, SIZE)
    for object_id in (1, 2, 3):
        segmenter.add_prompt(box(object_id))
    kept = []
    for stop in (8, 50, 100):
        run(segmenter, stop)
        kept.append(segmenter.num_bytes)
    assert kept == [size_of(model, options).session_bytes(3)] * 3


@pytest.mark.slow
def test_a_session_keeps_the_same_bytes_after_10000_frames(model: UniVS) -> None:
    segmenter = VideoSegmenter(model, ALONE, SIZE)
    segmenter.add_prompt(box(1))
    segmenter.add_prompt(box(2))
    kept = {}
    for stop in (100, 1_000, 10_000):
        run(segmenter, stop)
        kept[stop] = segmenter.num_bytes
    expected = size_of(model, ALONE).session_bytes(2)
    assert kept == {100: expected, 1_000: expected, 10_000: expected}


def test_a_thousand_objects_added_and_removed_leave_the_bytes_as_they_were(model: UniVS) -> None:
    segmenter = VideoSegmenter(model, ALONE, SIZE)
    segmenter.add_prompt(box(1))
    run(segmenter, 1)
    at_start = segmenter.num_bytes
    most = 0
    for number in range(1_000):
        object_id, index = 2 + number, segmenter.next_frame
        segmenter.add_prompt(box(object_id, index))
        if number % 40 == 39:  # forty at a time are followed
            run(segmenter, index + 1)
            most = max(most, segmenter.num_bytes)
            for followed in range(object_id - 39, object_id + 1):
                segmenter.remove_object(followed)
    assert most == size_of(model, ALONE).session_bytes(41)
    assert segmenter.num_bytes == at_start
    assert segmenter.object_ids == (1,)


def test_objects_removed_before_their_frame_leave_nothing(model: UniVS) -> None:
    segmenter = VideoSegmenter(model, ALONE, SIZE)
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[4:20, 4:20] = True
    for object_id in range(1, 101):
        segmenter.add_prompt(MaskPrompt(object_id, 5, mask))
    assert segmenter.num_bytes == 100 * SIZE[0] * SIZE[1]  # a mask that waits takes a byte a pixel
    for object_id in range(1, 101):
        segmenter.remove_object(object_id)
    assert segmenter.num_bytes == 0


def test_slots_are_made_once_and_written_in_place(model: UniVS) -> None:
    segmenter = VideoSegmenter(model, ALONE, SIZE)
    segmenter.add_prompt(box(1))
    run(segmenter, 1)
    slots = segmenter.pool._slots[1]
    places = [tensor.data_ptr() for tensor in (slots.features, slots.cells, slots.frame_indices)]
    run(segmenter, 12)
    slots = segmenter.pool._slots[1]
    assert [tensor.data_ptr() for tensor in (slots.features, slots.cells, slots.frame_indices)] == places
    assert int(slots.frame_indices.max()) > 5  # it was written to


def test_the_formula_counts_what_it_says() -> None:
    """By hand, for a picture of 64 x 96 pixels: 8 x 12 cells of the 1/8 map."""
    config = replace(tiny(), memory=replace(tiny().memory, num_frames=3, tokens_per_frame=8, look_back_radius=2))
    framing = Framing.fit((64, 96), 64, 1333)
    alone = MemorySize.of(config, replace(ALONE, short_side_px=64), framing)
    assert alone.pool_bytes == 4 * (16 * (16 * 2 + 4) + 16)
    assert alone.track_bytes == 4 * 3 * 16 + 2 * 8 * 12
    assert alone.frame_bytes == 8 * 12 * config.memory.look_back_dim * 2
    together = MemorySize.of(config, replace(TOGETHER, short_side_px=64), framing)
    assert together.pool_bytes == 5 * (16 * (16 * 4 + 4) + 16)
    assert together.track_bytes == 4 * 4 * 16 + 2 * 8 * 12 + 2 * 64 * 96 * 4
    assert together.frame_bytes == 2 * 4 * 16 * (16 * 24 + 8 * 12 + 4 * 6 + 2 * 3)
