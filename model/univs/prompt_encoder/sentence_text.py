"""Text that works offline: sentences of all-MiniLM-L6-v2, mapped into the text space of a network.

Every text goes the same way, names of a known table included: then a name and its synonym lie where they would if
neither were known, and what a network learns of one holds for the other (docs/text.md has the figures).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from univs.prompt_encoder.minilm import MiniLM, load, sentence_of
from univs.prompt_encoder.text import TextFeatures
from univs.prompt_encoder.text_map import TextMap
from univs.vocabularies import spoken

NUM_WORDS = 32  # of a text that are tokens for the decoder; the sentence is made of all of them


class SentenceTextEncoder(nn.Module):
    """A `TextEncoder` whose 22 million frozen numbers are loaded with the first text, and are in no state dict."""

    weight: Tensor
    bias: Tensor

    def __init__(self, text_map: TextMap) -> None:
        super().__init__()
        self.register_buffer("weight", text_map.weight, persistent=False)
        self.register_buffer("bias", text_map.bias, persistent=False)
        self._loaded: list[MiniLM] = []

    @property
    def text_dim(self) -> int:
        """Count the numbers of a text feature."""
        return len(self.bias)

    @torch.no_grad()
    def encode(self, texts: list[str]) -> TextFeatures:
        """Encode expressions as sentences [N, D] and words [N, 32, D], of which those beyond a text are padding.

        The words of a text of up to 32 word pieces average to its sentence.

        Raises:
            UnsupportedPromptError: when the sentence encoder is not installed.
        """
        sentences = self.bias.new_zeros(len(texts), self.text_dim)
        words = self.bias.new_zeros(len(texts), NUM_WORDS, self.text_dim)
        is_padding = torch.ones(len(texts), NUM_WORDS, dtype=torch.bool, device=self.bias.device)
        for row, found in enumerate(self._words(texts)):
            sentence, own = sentence_of(found)
            own = own[:NUM_WORDS]
            sentences[row] = self._mapped(sentence)
            words[row, : len(own)] = self._mapped(own)
            is_padding[row, : len(own)] = False
        return TextFeatures(sentences, words, is_padding)

    @torch.no_grad()
    def encode_names(self, names: list[str]) -> Tensor:
        """Encode names of categories: [N, D]. Underscores read as spaces, and no template is needed.

        Raises:
            UnsupportedPromptError: when the sentence encoder is not installed.
        """
        rows = [sentence_of(words)[0] for words in self._words([spoken(name) for name in names])]
        return self._mapped(torch.stack(rows)) if rows else self.bias.new_zeros(0, self.text_dim)

    def _words(self, texts: Sequence[str]) -> list[Tensor]:
        if not texts:
            return []
        if not self._loaded:
            self._loaded.append(load())
        return self._loaded[0].to(self.weight.device).encode(texts)

    def _mapped(self, vectors: Tensor) -> Tensor:
        """Bring vectors of the sentence encoder to the text space, in full precision: [..., 384] -> [..., D]."""
        with torch.autocast(vectors.device.type, enabled=False):
            return functional.linear(vectors.to(self.weight.dtype), self.weight, self.bias)
