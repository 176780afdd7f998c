"""What a worker says it can serve follows the text encoder and what the weights were trained for."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from univs import weights
from univs.errors import UnsupportedPromptError
from univs.prompt_encoder.text import TextFeatures
from univs.types import PromptKind, TextPrompt
from univs_service.settings import Settings
from univs_service.worker.engine import Engine

VISUAL = ["points", "box", "mask", "scribble"]


class Ones:
    """A text encoder to which all texts are the same."""

    text_dim = 32

    def encode(self, texts: list[str]) -> TextFeatures:
        return TextFeatures(self.encode_names(texts), torch.ones(len(texts), 2, self.text_dim))

    def encode_names(self, names: list[str]) -> Tensor:
        return torch.ones(len(names), self.text_dim)


def engine(*, has_encoder: bool, trained_for: tuple[PromptKind, ...]) -> Engine:
    model, info = weights.load("tiny")
    model.text_encoder = Ones() if has_encoder else None
    return Engine(model, replace(info, trained_for=trained_for))


def test_text_is_served_by_an_encoder_and_weights_trained_for_it() -> None:
    served = engine(has_encoder=True, trained_for=(PromptKind.VISUAL, PromptKind.EXPRESSION))
    assert (served.model_info.prompts, served.model_info.no_text) == ([*VISUAL, "text"], "")
    served.open((64, 96)).add_prompt(TextPrompt(1, "a dog"))


def test_weights_that_were_not_trained_for_text_say_so_and_refuse_it() -> None:
    served = engine(has_encoder=True, trained_for=(PromptKind.VISUAL,))
    assert served.model_info.prompts == VISUAL
    assert "not trained for text" in served.model_info.no_text
    with pytest.raises(UnsupportedPromptError, match="not trained for text"):
        served.open((64, 96)).add_prompt(TextPrompt(1, "a dog"))


def test_such_weights_still_read_names_of_categories() -> None:
    model, info = weights.load("tiny")
    model.text_encoder = Ones()
    Engine(model, info)
    assert model.encode_names(["dog"]).shape == (1, 32)


def test_without_an_encoder_the_remedy_is_named() -> None:
    served = engine(has_encoder=False, trained_for=tuple(PromptKind))
    assert served.model_info.prompts == VISUAL
    assert "pip install 'univs[text]'" in served.model_info.no_text


@pytest.fixture
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads_as_before")
def test_a_small_network_looks_ahead_and_a_large_one_keeps_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(model="tiny", threads=4)
    small = Engine.load(settings)
    assert small.looks_ahead
    assert torch.get_num_threads() == 2
    monkeypatch.setattr("univs_service.worker.engine._SMALL", 1)
    beside = Engine.load(settings, beside=small)
    assert beside.looks_ahead, "threads are those of the process"
    assert torch.get_num_threads() == 2
    large = Engine.load(settings)
    assert not large.looks_ahead
    assert torch.get_num_threads() == 4
