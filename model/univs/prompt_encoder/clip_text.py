"""The text tower of CLIP RN50x4, the text space of the published networks.

Tower, tokenizer and templates are open_clip's; the weights come from a file: the published text tower, or any open_clip
checkpoint of RN50x4, which can be fetched by its pretrained tag. Source: Radford et al., 2021, and the released code
of UniVS for how an expression is encoded.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import open_clip  # type: ignore[import-untyped]
import torch
from open_clip.tokenizer import SimpleTokenizer  # type: ignore[import-untyped]
from open_clip.transformer import QuickGELU, TextTransformer  # type: ignore[import-untyped]
from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES  # type: ignore[import-untyped]
from torch import Tensor, nn

from univs.errors import WeightsMismatchError, WeightsNotFoundError
from univs.prompt_encoder.text import TextFeatures
from univs.published_files import read_tensors

_CONTEXT = 77
_PREFIX = "lang_encoder."
_CLIP = "RN50x4"


class ClipTextTower(nn.Module):
    """Encode texts; frozen."""

    text_dim = 640

    def __init__(self) -> None:
        super().__init__()
        self.tower = TextTransformer(
            context_length=_CONTEXT,
            width=640,
            heads=10,
            layers=12,
            output_dim=self.text_dim,
            act_layer=QuickGELU,
        )
        self.requires_grad_(False)
        self.eval()
        self._tokenize = SimpleTokenizer(context_length=_CONTEXT)

    @torch.no_grad()
    def encode(self, texts: list[str]) -> TextFeatures:
        """Encode expressions: the mean over all templates as the sentence, the words of the bare one.

        Texts longer than 77 tokens are cut, and end with the end token.
        """
        words = self.features([f"{text}." for text in texts], cut=False)[1]
        return TextFeatures(self.encode_names(texts), words)

    @torch.no_grad()
    def encode_names(self, names: list[str]) -> Tensor:
        """Encode names as the mean over templates of their sentence features, not normalised: [N, 640]."""
        rows = []
        for name in names:
            sentences = [f"{name}.", *(template(name) for template in OPENAI_IMAGENET_TEMPLATES)]
            rows.append(self.features(sentences, cut=True)[0].mean(dim=0))
        return torch.stack(rows) if rows else self.tower.positional_embedding.new_zeros(0, self.text_dim)

    def features(self, texts: Sequence[str], *, cut: bool) -> tuple[Tensor, Tensor]:
        """Give sentence features [N, 640] and projected words [N, 77, 640].

        Attention looks back only, so what follows the last end token can be cut when just sentences are wanted.
        """
        tower = self.tower
        tokens = self._tokenize(list(texts)).to(tower.positional_embedding.device)
        ends = tokens.argmax(dim=1)  # the end token has the largest number
        length = int(ends.max()) + 1 if cut else _CONTEXT
        x = tower.token_embedding(tokens[:, :length]) + tower.positional_embedding[:length]
        x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:length, :length]))
        words: Tensor = x @ tower.text_projection
        return words[torch.arange(len(words)), ends], words


def load(path: Path) -> ClipTextTower:
    """Build the tower from a file: the published text tower, or an open_clip state dict of RN50x4.

    Pickled files are read without executing code from them.

    Raises:
        WeightsNotFoundError: when there is no such file.
        WeightsMismatchError: when it holds no such tower.
        WeightsError: when it cannot be read.
    """
    found = {name.removeprefix(_PREFIX): tensor for name, tensor in read_tensors(path).items()}
    return build(found, path)


def tags() -> tuple[str, ...]:
    """List open_clip's pretrained tags of RN50x4."""
    return tuple(open_clip.list_pretrained_tags_by_model(_CLIP))


def fetch(tag: str) -> Path:
    """Give the file of open_clip's RN50x4 with a pretrained tag: from its cache, or from the network.

    Raises:
        WeightsNotFoundError: for a tag that open_clip does not know, and when the file can be had from neither.
    """
    if tag not in tags():
        raise WeightsNotFoundError(f"expected one of open_clip's tags of {_CLIP} ({', '.join(tags())}), got '{tag}'")
    try:
        return Path(open_clip.download_pretrained(open_clip.get_pretrained_cfg(_CLIP, tag)))
    except (OSError, ImportError, RuntimeError) as error:  # the hub's and the network's errors are OSErrors
        raise WeightsNotFoundError(
            f"expected to fetch {_CLIP} '{tag}' through open_clip, but neither its cache nor the network has it "
            f"({str(error).splitlines()[0]}); fetch the file elsewhere and give its path"
        ) from error


def build(found: Mapping[str, Tensor], path: Path) -> ClipTextTower:
    """Build the tower from its tensors; what else there is, is left out.

    Args:
        found: by the names of open_clip's text tower.
        path: the file they came from, for the message.

    Raises:
        WeightsMismatchError: when some are missing or of another shape.
    """
    tower = ClipTextTower()
    expected = tower.tower.state_dict()
    missing = [name for name, tensor in expected.items() if name not in found or found[name].shape != tensor.shape]
    if missing:
        raise WeightsMismatchError(
            f"expected the text tower of CLIP RN50x4 in {path}, but {len(missing)} of its {len(expected)} tensors are "
            f"missing or of another shape ({', '.join(missing[:3])} ...); other CLIP models have other text spaces"
        )
    tower.tower.load_state_dict({name: found[name].to(expected[name].dtype) for name in expected})
    return tower
