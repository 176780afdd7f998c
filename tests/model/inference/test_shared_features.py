"""Segmenters of one video share the features of a frame within a step, and nothing else."""

import pytest
import torch
from tests.model.inference.entities.streams import SIZE, credulous, frames, network, opened

from univs.inference.options import paper
from univs.inference.segmenter import VideoSegmenter
from univs.inference.shared_features import SharedFeatures
from univs.types import BoxPrompt, Clip, FrameResult


def run(shared: SharedFeatures | None) -> list[tuple[FrameResult, FrameResult]]:
    prompted, found = VideoSegmenter(network(), paper(64), SIZE), opened(credulous())
    prompted.add_prompt(BoxPrompt(1, 0, (0.2, 0.2, 0.7, 0.7)))
    answers = []
    for frame in frames(0, 3):
        for segmenter in (prompted, found):
            if shared is not None:
                segmenter.share(shared)
        answers.append((prompted.step(Clip((frame,)))[0], found.step(Clip((frame,)))[0]))
        if shared is not None:
            shared.forget()
    return answers


def test_a_frame_is_encoded_once_and_every_answer_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = run(None)
    calls: list[torch.Tensor] = []
    encode = type(network()).encode_frames

    def counted(self: object, images: torch.Tensor, *others: object) -> object:
        calls.append(images)
        return encode(self, images, *others)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(type(network()), "encode_frames", counted)
    shared = SharedFeatures()
    assert run(shared) == apart
    assert (len(calls), len(shared)) == (3, 0)
    assert run(None) == apart
    assert len(calls) == 3 + 6
