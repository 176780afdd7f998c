from pathlib import Path

import pytest
import torch
from torch import Tensor

from univs.prompt_encoder.remembered_names import RememberedNames
from univs.prompt_encoder.text import TextFeatures


class Counting:
    """A text encoder that remembers what it was asked."""

    text_dim = 4

    def __init__(self, scale: float = 1.0) -> None:
        self.asked: list[str] = []
        self._scale = scale

    def encode(self, texts: list[str]) -> TextFeatures:
        return TextFeatures(self.encode_names(texts), torch.zeros(len(texts), 1, self.text_dim))

    def encode_names(self, names: list[str]) -> Tensor:
        self.asked += names
        rows = [torch.full((self.text_dim,), self._scale * sum(name.encode())) for name in names]
        return torch.stack(rows) if rows else torch.zeros(0, self.text_dim)


def test_a_name_is_encoded_once(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    rows = RememberedNames(first, "hash", tmp_path).encode_names(["dog", "cat", "dog"])
    again = RememberedNames(second, "hash", tmp_path).encode_names(["cat", "sea/shore", "dog"])
    assert (first.asked, second.asked) == (["dog", "cat"], ["sea/shore"])
    assert torch.equal(rows, Counting().encode_names(["dog", "cat", "dog"]))
    assert torch.equal(again, Counting().encode_names(["cat", "sea/shore", "dog"]))


def test_another_tower_has_names_of_its_own(tmp_path: Path) -> None:
    RememberedNames(Counting(), "hash", tmp_path).encode_names(["dog"])
    other = Counting(scale=2.0)
    rows = RememberedNames(other, "other", tmp_path).encode_names(["dog"])
    assert other.asked == ["dog"]
    assert torch.equal(rows, Counting(scale=2.0).encode_names(["dog"]))


@pytest.mark.parametrize("content", [b"", b"no safetensors", None])
def test_a_damaged_file_is_written_anew(tmp_path: Path, content: bytes | None) -> None:
    RememberedNames(Counting(), "hash", tmp_path).encode_names(["dog"])
    (path,) = tmp_path.rglob("*.safetensors")
    blob = bytearray(path.read_bytes())
    blob[-1] ^= 1
    path.write_bytes(blob if content is None else content)
    encoder = Counting()
    rows = RememberedNames(encoder, "hash", tmp_path).encode_names(["dog"])
    assert torch.equal(rows, Counting().encode_names(["dog"]))
    assert encoder.asked == ["dog"]
    RememberedNames(encoder, "hash", tmp_path).encode_names(["dog"])
    assert encoder.asked == ["dog"]


def test_a_folder_that_cannot_be_made_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("a file")
    encoder = Counting()
    names = RememberedNames(encoder, "hash", tmp_path / "in the way")
    assert torch.equal(names.encode_names(["dog"]), names.encode_names(["dog"]))
    assert encoder.asked == ["dog", "dog"]


def test_no_names_give_no_rows_and_expressions_pass(tmp_path: Path) -> None:
    names = RememberedNames(Counting(), "hash", tmp_path)
    assert names.encode_names([]).shape == (0, 4)
    assert names.encode(["a dog"]).sentences.shape == (1, names.text_dim)
    assert not list(tmp_path.iterdir())
