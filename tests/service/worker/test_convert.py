"""Pixels become fractions and back in one place, and errors become problems."""

from fractions import Fraction

import numpy as np
import pytest

from univs import errors as model_errors
from univs import rle
from univs.types import (
    BoxPrompt,
    FrameResult,
    MaskPrompt,
    MaskResult,
    ObjectState,
    PointPrompt,
    ScribblePrompt,
    Segment,
    SegmentMap,
    TextPrompt,
)
from univs.vocabularies import Vocabulary
from univs_service.errors import InvalidInputError, SessionEndedError
from univs_service.messages import PromptIn, RleMask
from univs_service.worker.convert import problem_of, prompt_from_message, result_to_event

SIZE = (100, 200)  # height, width


def test_prompts_become_fractions_of_the_frame() -> None:
    def convert(**fields: object) -> object:
        return prompt_from_message(PromptIn.model_validate({"object_id": 3, "frame_index": 4} | fields), SIZE)

    assert convert(box=(20, 10, 200, 100)) == BoxPrompt(3, 4, (0.1, 0.1, 1.0, 1.0))
    assert convert(points=[(50, 50, 1), (0, 100, 0)]) == PointPrompt(3, 4, ((0.25, 0.5), (0.0, 1.0)), (True, False))
    assert convert(scribble=[(0, 0), (100, 25)]) == ScribblePrompt(3, 4, ((0.0, 0.0), (0.5, 0.25)))
    assert convert(text="the bear") == TextPrompt(3, "the bear", 4)


def test_a_mask_arrives_bit_by_bit() -> None:
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[10:30, 50:120] = True
    encoded = rle.encode(mask)
    prompt = prompt_from_message(PromptIn(object_id=1, mask=RleMask(size=encoded.size, counts=encoded.counts)), SIZE)
    assert isinstance(prompt, MaskPrompt)
    assert np.array_equal(prompt.mask.numpy(), mask)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"\[100, 200\], got \[200, 100\]"):
        prompt_from_message(PromptIn(object_id=1, mask=RleMask(size=(200, 100), counts="a")), SIZE)


def test_a_malformed_mask_is_a_problem_of_its_sender() -> None:
    with pytest.raises(model_errors.RleError) as caught:
        prompt_from_message(PromptIn(object_id=1, mask=RleMask(size=SIZE, counts="\x01")), SIZE)
    assert problem_of(caught.value).status == 422


def test_a_result_says_where_its_mask_lies() -> None:
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[10:30, 50:120] = True
    found = MaskResult(7, 5, 0.75, 0.5, ObjectState.VISIBLE, 0.07, 2, None, rle.encode(mask))
    event = result_to_event(FrameResult(5, 5120, Fraction(1, 15360), SIZE, (found,)), 3, "untrained")
    (answer,) = event.objects
    assert (event.run_id, event.frame_index, event.pts, event.time_base) == (3, 5, 5120, "1/15360")
    assert (answer.bbox, answer.area, answer.area_fraction) == ((50, 10, 70, 20), 1400, 0.07)
    assert (answer.object_id, answer.revision, answer.state, event.weights) == (7, 2, "visible", "untrained")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (model_errors.PromptOutOfRangeError("x"), "prompt_out_of_range"),
        (model_errors.UnsupportedPromptError("x"), "unsupported_prompt"),
        (model_errors.UnknownObjectError("x"), "invalid_input"),
        (model_errors.DamagedVideoError("x", 4), "damaged_video"),
        (model_errors.NoFramesError("x"), "no_frames"),
        (SessionEndedError("x"), "session_ended"),
        (RuntimeError("secret"), "internal"),
    ],
)
def test_errors_become_problems(error: Exception, code: str) -> None:
    assert problem_of(error).code == code


def test_our_own_mistakes_stay_in_our_log() -> None:
    assert "secret" not in problem_of(RuntimeError("secret")).detail


def test_entities_and_segments_bear_the_ids_of_their_data_set() -> None:
    words = Vocabulary.of_names(["cat", "sky"], is_thing=[True, False], category_ids=[17, 187])
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[10:30, 50:120] = True
    encoded = rle.encode(mask)
    cat = MaskResult(7, 5, 0.75, 0.5, ObjectState.VISIBLE, 0.07, 0, "cat", encoded, class_index=0)
    prompted = MaskResult(8, 5, 0.75, 0.5, ObjectState.VISIBLE, 0.07, 1, None, encoded)
    sky = Segment(3, None, 1, "sky", False, 0.5, 0.07, encoded)
    found = FrameResult(5, 0, Fraction(1, 24), SIZE, (cat, prompted), None, SegmentMap(SIZE, (sky,)))
    event = result_to_event(found, 1, "nano", words)
    assert [(each.category_id, each.is_thing) for each in event.objects] == [(17, True), (None, None)]
    assert event.semantic is None
    assert event.panoptic is not None
    (segment,) = event.panoptic.segments_info
    assert (segment.id, segment.category_id, segment.label, segment.is_thing) == (3, 187, "sky", False)
    assert (segment.area, segment.bbox, segment.mask.counts) == (1400, (50, 10, 70, 20), encoded.counts)
