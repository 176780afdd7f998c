"""Several expressions in one session: each is an object that says by itself whether it is there."""

import zlib
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.service.worker.test_live_sessions import check_numbering, results
from torch import Tensor

from univs import weights
from univs.inference.options import paper
from univs.prompt_encoder.text import TextFeatures
from univs.types import PromptKind
from univs_service.messages import Following, PromptIn
from univs_service.worker.engine import Engine


class Drawn:
    """A text encoder that draws a vector for each text, the same for the same text."""

    text_dim = 32

    def encode(self, texts: list[str]) -> TextFeatures:
        words = [torch.randn(3, self.text_dim, generator=self._of(text)) for text in texts]
        return TextFeatures(self.encode_names(texts), torch.stack(words))

    def encode_names(self, names: list[str]) -> Tensor:
        return torch.stack([torch.randn(self.text_dim, generator=self._of(name)) for name in names])

    @staticmethod
    def _of(text: str) -> torch.Generator:
        return torch.Generator().manual_seed(zlib.crc32(text.encode()))


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The engine of `bench`, with weights that count as trained for text."""
    torch.set_num_threads(1)
    model, info = weights.load("tiny")
    model.text_encoder = Drawn()
    served = (PromptKind.VISUAL, PromptKind.EXPRESSION)
    return Engine(model.optimize_for_inference(), replace(info, trained_for=served), paper(64))


def test_each_of_several_expressions_says_whether_it_is_there(bench: Any, make_box: Any) -> None:
    first = PromptIn(object_id=1, text="the bright square")
    others = [PromptIn(object_id=2, text="a bird"), PromptIn(object_id=3, text="a boat", frame_index=4), make_box(4)]
    never = Following(presence_threshold=1.0)
    absent = bench.create("a", [first, *others], following=never)
    alone = bench.create("b", [first], following=never)
    bench.worker(worker_lease_s=60.0).run_to_end(absent, alone)
    events = bench.events(absent)
    check_numbering(events)
    frames = results(events)
    assert [[one["object_id"] for one in objects] for objects in frames.values()] == [[1, 2, 4]] * 4 + [
        [1, 2, 3, 4]
    ] * 8
    named = [one for objects in frames.values() for one in objects if one["object_id"] < 4]
    assert {(one["state"], one["area"]) for one in named} == {("lost", 0)}
    assert all(0 <= one["presence"] < 1 for one in named)
    assert len({one["presence"] for one in frames[5]}) == 4, "each has a presence of its own"
    assert [objects[0] for objects in frames.values()] == [
        objects[0] for objects in results(bench.events(alone)).values()
    ]
