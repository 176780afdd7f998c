"""Windows of several frames, the published way of streaming, and each option in which it differs from ours."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from univs.config import tiny
from univs.errors import PromptError
from univs.expression_decoding import EarlierMasks
from univs.inference import snapshot
from univs.inference.options import InferenceOptions, Isolation, Judge, released_refvos, released_vos
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.prompt_encoder.queries import InitialQuery
from univs.prompt_encoder.sampling import CellChoice
from univs.prompt_encoder.text import TextFeatures
from univs.types import BoxPrompt, Clip, Frame, FrameResult, MaskPrompt, ObjectState, Prompt, TextPrompt

SIZE = (70, 110)
PAPER = InferenceOptions(short_side_px=64, presence_threshold=0.0, consistency_threshold=-1.0, minimum_quality=0.0)
VOS = replace(
    released_vos(), clip_length=3, short_side_px=64, tokens_per_frame=8, memory_frames=3, consistency_threshold=-1.0
)
REFVOS = replace(
    released_refvos(), clip_length=3, short_side_px=64, tokens_per_frame=8, memory_frames=3, consistency_threshold=-1.0
)


def a_mask(object_id: int, frame_index: int, left: int) -> MaskPrompt:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[20:50, left : left + 40] = True
    return MaskPrompt(object_id, frame_index, mask)


MASKS: list[Prompt] = [a_mask(1, 0, 10), a_mask(2, 0, 40), a_mask(3, 3, 60)]
TEXTS: list[Prompt] = [TextPrompt(1, "a dog"), TextPrompt(4, "the other dog", frame_index=2)]


class RandomSentences:
    """A text encoder whose features depend on the text alone."""

    text_dim = 32

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def encode(self, texts: list[str]) -> TextFeatures:
        return TextFeatures(self.encode_names(texts), torch.stack([self._draw(text, 5) for text in texts]))

    def encode_names(self, names: list[str]) -> Tensor:
        return torch.stack([self._draw(name, 1)[0] for name in names])

    def _draw(self, text: str, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(self._seed + sum(text.encode()))
        return torch.randn(number, self.text_dim, generator=generator)


@pytest.fixture(scope="module")
def model() -> Iterator[UniVS]:
    torch.manual_seed(3)
    network = UniVS(tiny()).optimize_for_inference()
    network.text_encoder = RandomSentences()
    yield network


def frames(first: int, stop: int) -> list[Frame]:
    images = [
        torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(index))
        for index in range(first, stop)
    ]
    return [Frame(first + n, first + n, Fraction(1, 25), image) for n, image in enumerate(images)]


def prompted(model: UniVS, options: InferenceOptions, prompts: list[Prompt]) -> VideoSegmenter:
    segmenter = VideoSegmenter(model, options, SIZE)
    for prompt in prompts:
        segmenter.add_prompt(prompt)
    return segmenter


def segment(model: UniVS, options: InferenceOptions, prompts: list[Prompt], count: int = 7) -> list[FrameResult]:
    segmenter = prompted(model, options, prompts)
    return segmenter.step(Clip(tuple(frames(0, count)))) + segmenter.finish()


def changed_by(options: InferenceOptions, ours: dict[str, Any]) -> InferenceOptions:
    """Change named fields; what they hold differs in type, so the table of them is untyped."""
    return replace(options, **ours)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_frame_has_one_result_whatever_the_stride_and_length(model: UniVS, count: int, stride: int) -> None:
    results = segment(model, replace(VOS, clip_stride=stride), MASKS, count)
    assert [result.frame_index for result in results] == list(range(count))
    assert [len(result.objects) for result in results] == [2, 2, 2, 3, 3, 3, 3, 3][:count]


def test_results_come_when_a_frame_has_been_in_all_of_its_windows(model: UniVS) -> None:
    segmenter = prompted(model, VOS, MASKS)
    counts = [len(segmenter.step(Clip((frame,)))) for frame in frames(0, 6)]
    assert counts == [0, 0, 1, 1, 1, 1]
    assert [result.frame_index for result in segmenter.finish()] == [4, 5]
    assert segmenter.finish() == []


def test_a_video_goes_on_after_its_windows_were_broken_off(model: UniVS) -> None:
    """What was seen last stands in for the frames of the new window, so that the objects are not lost."""
    segmenter = prompted(model, VOS, MASKS)
    results = segmenter.step(Clip(tuple(frames(0, 5)))) + segmenter.finish()
    assert segmenter.first_waiting_frame == segmenter.first_open_frame == 5
    known = segmenter.pool.newest(1)
    results += segmenter.step(Clip(tuple(frames(5, 8))))
    found = segmenter.pool.newest(1)
    assert known is not None
    assert found is not None
    assert torch.equal(found.foreground.features, known.foreground.features)
    assert int(found.foreground.frame_indices) == 7
    results += segmenter.step(Clip(tuple(frames(8, 9)))) + segmenter.finish()
    assert [result.frame_index for result in results] == list(range(9))


def test_frames_of_a_restored_window_are_not_open_for_prompts(model: UniVS) -> None:
    segmenter = prompted(model, VOS, MASKS)
    segmenter.step(Clip(tuple(frames(0, 5))))
    restored = snapshot.restore(snapshot.take(segmenter), model, VOS)
    assert (restored.next_frame, restored.first_open_frame) == (3, segmenter.first_open_frame) == (3, 5)


def test_with_single_frames_nothing_waits_for_the_end(model: UniVS) -> None:
    segmenter = prompted(model, PAPER, [a_mask(1, 0, 10)])
    assert len(segmenter.step(Clip(tuple(frames(0, 3))))) == 3
    assert segmenter.finish() == []


@pytest.mark.parametrize("options", [VOS, REFVOS, PAPER, replace(VOS, clip_stride=2)])
@pytest.mark.parametrize("cut", [2, 3, 5, 6])
def test_a_restored_segmenter_goes_on_with_the_same_masks(model: UniVS, options: InferenceOptions, cut: int) -> None:
    prompts = [*MASKS, TextPrompt(7, "a dog", frame_index=4)]
    uninterrupted = segment(model, options, prompts)
    segmenter = prompted(model, options, prompts)
    results = segmenter.step(Clip(tuple(frames(0, cut))))
    blob = snapshot.take(segmenter)
    restored = snapshot.restore(blob, model, options)
    assert snapshot.take(restored) == blob
    assert restored.next_frame == len(results)
    for prompt in prompts:
        if not isinstance(prompt, TextPrompt | MaskPrompt) or prompt.frame_index >= restored.next_frame:
            restored.add_prompt(prompt)
    results += restored.step(Clip(tuple(frames(restored.next_frame, 7)))) + restored.finish()
    assert results == uninterrupted


def test_the_memory_of_a_window_does_not_grow(model: UniVS) -> None:
    segmenter = prompted(model, VOS, MASKS)
    segmenter.step(Clip(tuple(frames(0, 6))))
    num_bytes = segmenter.num_bytes
    segmenter.step(Clip(tuple(frames(6, 14))))
    assert segmenter.num_bytes == num_bytes


@pytest.mark.parametrize(
    "ours",
    [
        {"isolation": Isolation.STRICT},
        {"clip_length": 2},
        {"clip_stride": 2},
        {"initial_query": InitialQuery.POOL},
        {"blanks_attend": False},
        {"cell_choice": CellChoice.SPREAD},
        {"half_precision_memory": True},
        {"memory_frames": 5},
        {"tokens_per_frame": 4},
        {"consistency_threshold": 0.999},
        {"clip_length": 1, "judge": Judge.PRESENCE},
    ],
    ids="+".join,
)
def test_each_option_of_visual_prompts_matters(model: UniVS, ours: dict[str, Any]) -> None:
    expected, changed = (prompted(model, options, MASKS) for options in (VOS, changed_by(VOS, ours)))
    for segmenter in (expected, changed):
        segmenter.step(Clip(tuple(frames(0, 7))))
    pairs = zip(expected.tracks, changed.tracks, strict=True)
    assert any(
        one.embeddings.shape != other.embeddings.shape or not torch.equal(one.embeddings, other.embeddings)
        for one, other in pairs
    )


@pytest.mark.parametrize(
    "ours",
    [
        {"average_with_learnable": False},
        {"earlier_masks": EarlierMasks.LOOKS},
        {"earlier_masks": EarlierMasks.PLACES},
    ],
)
def test_each_option_of_expressions_matters(model: UniVS, ours: dict[str, Any]) -> None:
    changed = changed_by(REFVOS, ours)
    assert segment(model, changed, TEXTS) != segment(model, REFVOS, TEXTS)


@pytest.mark.parametrize("options", [PAPER, REFVOS])
def test_an_expression_is_followed_from_its_frame_on(model: UniVS, options: InferenceOptions) -> None:
    results = segment(model, options, TEXTS)
    assert [[found.object_id for found in result.objects] for result in results] == [[1], [1], *[[1, 4]] * 5]


def test_expressions_and_masks_live_side_by_side(model: UniVS) -> None:
    alone = segment(model, PAPER, [a_mask(2, 0, 10)])
    together = segment(model, PAPER, [*TEXTS, a_mask(2, 0, 10)])
    assert [[found for found in result.objects if found.object_id == 2] for result in together] == [
        list(result.objects) for result in alone
    ]


def test_an_expression_that_was_found_is_remembered_by_how_it_looks(model: UniVS) -> None:
    by_words = replace(PAPER, text_hands_over=False)
    with_memory = segment(model, by_words, TEXTS)
    assert with_memory != segment(model, replace(by_words, earlier_masks=EarlierMasks.NOTHING), TEXTS)


def after_other_words(
    model: UniVS, options: InferenceOptions, monkeypatch: pytest.MonkeyPatch, *, is_lost: bool = False
) -> bool:
    """Tell whether frames after the first come out the same when the words mean something else from there on."""
    segmenter = prompted(model, options, TEXTS[:1])
    (first,) = segmenter.step(Clip(tuple(frames(0, 1))))
    assert first.objects[0].state is ObjectState.VISIBLE
    if is_lost:
        segmenter.tracks[0].miss()
    blob = snapshot.take(segmenter)
    expected = segmenter.step(Clip(tuple(frames(1, 4))))
    with monkeypatch.context() as patch:
        patch.setattr(model, "text_encoder", RandomSentences(seed=99))
        restored = snapshot.restore(blob, model, options)
    return restored.step(Clip(tuple(frames(1, 4)))) == expected


def test_what_a_text_has_found_is_followed_by_its_looks(model: UniVS, monkeypatch: pytest.MonkeyPatch) -> None:
    assert after_other_words(model, PAPER, monkeypatch)
    assert not after_other_words(model, replace(PAPER, text_hands_over=False), monkeypatch)


def test_what_is_lost_is_asked_for_by_its_words_again(model: UniVS, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not after_other_words(model, replace(PAPER, lost_after_frames=0), monkeypatch, is_lost=True)
    assert after_other_words(model, replace(PAPER, lost_after_frames=5), monkeypatch, is_lost=True)


def test_an_empty_text_is_refused(model: UniVS) -> None:
    with pytest.raises(PromptError, match="empty"):
        prompted(model, PAPER, [TextPrompt(1, "  ")])


def test_a_box_is_followed_in_windows_too(model: UniVS) -> None:
    results = segment(model, VOS, [BoxPrompt(1, 1, (0.2, 0.2, 0.6, 0.7))])
    assert [len(result.objects) for result in results] == [0, 1, 1, 1, 1, 1, 1]


def test_our_judge_refuses_longer_windows() -> None:
    with pytest.raises(ValueError, match="clip_length 3"):
        InferenceOptions(clip_length=3)
