"""Prompts are checked against the frame, the video and the loaded weights."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from univs_service.errors import InvalidInputError, PromptOutOfRangeError, UnsupportedPromptError
from univs_service.gateway.prompts import check_prompt, run_lengths
from univs_service.messages import ModelInfo, PromptIn, PushSource, Weights
from univs_service.store.records import SessionSpec

SPEC = SessionSpec.model_validate(
    {
        "session_id": "s", "principal": "local", "source": {"kind": "video", "video_id": "v"}, "model": "tiny",
        "video": {
            "video_id": "v", "sha256": "v", "size_bytes": 1, "width": 64, "height": 48, "num_frames": 12,
            "frame_rate": None, "duration_s": None, "rotation": 0, "created_at": 0.0,
        },
        "frame_width": 64, "frame_height": 48, "from_frame": 2, "to_frame": None, "auto_start": True,
        "created_at": 0.0,
    }
)  # fmt: skip
NO_TEXT = ModelInfo(
    name="tiny",
    weights=Weights(name="tiny", sha256=None, is_trained=False, note=""),
    prompts=["points", "box", "mask", "scribble"],
)


def rle(mask: np.ndarray[Any, Any]) -> dict[str, Any]:
    counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    return {"size": list(mask.shape), "counts": counts.decode() if isinstance(counts, bytes) else counts}


def full_mask(shape: tuple[int, int]) -> dict[str, Any]:
    return rle(np.ones(shape))


@pytest.mark.parametrize(
    "fields",
    [
        {"points": [[0, 0, 1], [64, 48, 0]]},
        {"box": [0, 0, 64, 48]},
        {"scribble": [[1, 1], [63.5, 47.5]]},
        {"mask": full_mask((48, 64))},
        {"points": [[1, 1, 1]], "frame_index": 11},
    ],
)
def test_what_lies_inside_is_taken(fields: dict[str, Any]) -> None:
    check_prompt(PromptIn.model_validate({"object_id": 1, "frame_index": 2, **fields}), SPEC, [NO_TEXT])


@pytest.mark.parametrize(
    ("fields", "loc", "got"),
    [
        ({"points": [[1, 1, 1], [64.5, 1, 1]]}, ["points", 1], "point (64.5, 1)"),
        ({"points": [[1, -1, 1]]}, ["points", 0], "point (1, -1)"),
        ({"box": [1, 1, 65, 9]}, ["box"], "box (1, 1, 65, 9)"),
        ({"scribble": [[1, 1], [1, 48.01]]}, ["scribble", 1], "scribble point (1, 48.01)"),
        ({"mask": full_mask((64, 48))}, ["mask", "size"], "[64, 48]"),
        ({"box": [1, 1, 2, 2], "frame_index": 12}, ["frame_index"], "got 12"),
        ({"box": [1, 1, 2, 2], "frame_index": 1}, ["frame_index"], "got 1"),
    ],
)
def test_what_lies_outside_is_refused_with_its_place(fields: dict[str, Any], loc: list[str], got: str) -> None:
    prompt = PromptIn.model_validate({"object_id": 1, "frame_index": 2, **fields})
    with pytest.raises(PromptOutOfRangeError) as caught:
        check_prompt(prompt, SPEC, [NO_TEXT], where=["prompts", 3])
    assert caught.value.errors[0].loc == ["prompts", 3, *loc]
    assert got in caught.value.detail and "expected" in caught.value.detail


@pytest.mark.parametrize(
    "counts",
    ["", "0", "x" * 10, "\u00e9", "P" * 100, "~~~~", rle(np.zeros((48, 64)))["counts"], full_mask((48, 63))["counts"]],
)
def test_a_mask_that_cannot_be_decoded_is_refused(counts: str) -> None:
    prompt = PromptIn.model_validate({"object_id": 1, "frame_index": 2, "mask": {"size": [48, 64], "counts": counts}})
    with pytest.raises(InvalidInputError, match="expected COCO compressed run lengths"):
        check_prompt(prompt, SPEC, [])


def test_a_kind_of_prompt_that_the_weights_cannot_serve_is_refused() -> None:
    prompt = PromptIn(object_id=1, frame_index=2, text="the dog")
    with pytest.raises(UnsupportedPromptError, match=r"points, box, mask, scribble.*got text"):
        check_prompt(prompt, SPEC, [NO_TEXT])
    check_prompt(prompt, SPEC, [])


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_run_lengths_are_those_of_pycocotools(height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.3
    runs = run_lengths(rle(mask)["counts"])
    assert sum(runs) == mask.size
    assert sum(runs[1::2]) == mask.sum()


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_string_breaks_the_check(counts: str) -> None:
    run_lengths(counts)


def test_the_reason_why_text_is_refused_is_told() -> None:
    untaught = NO_TEXT.model_copy(update={"no_text": "these weights were not trained for text"})
    text = PromptIn.model_validate({"object_id": 1, "frame_index": 2, "text": "a dog"})
    with pytest.raises(UnsupportedPromptError, match="got text: these weights were not trained for text"):
        check_prompt(text, SPEC, [untaught])


@pytest.mark.parametrize("direction", ["backward", "both"])
def test_live_frames_cannot_be_gone_back_to(direction: str) -> None:
    prompt = PromptIn.model_validate({"object_id": 1, "frame_index": 2, "box": [0, 0, 9, 9], "direction": direction})
    check_prompt(prompt, SPEC, [NO_TEXT])
    live = SPEC.model_copy(update={"source": PushSource(kind="push", width=64, height=48), "video": None})
    with pytest.raises(InvalidInputError, match="not kept") as caught:
        check_prompt(prompt, live, [NO_TEXT], ["prompts", 0])
    assert caught.value.errors[0].loc == ["prompts", 0, "direction"]
