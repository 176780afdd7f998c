"""The text tower by its pretrained tag, from the folder where open_clip keeps what it fetched; without a network."""

from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save_file

from univs.errors import WeightsNotFoundError
from univs.prompt_encoder import clip_text
from univs.prompt_encoder.clip_text import ClipTextTower

_REPOSITORY = "models--timm--resnet50x4_clip.openai"
_REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_a_tag_that_cannot_be_fetched_says_what_to_do(cache: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"neither its cache nor the network has it.*give its path"):
        clip_text.fetch("openai")


def test_an_unknown_tag_lists_the_known_ones() -> None:
    with pytest.raises(WeightsNotFoundError, match=r"tags of RN50x4 \(openai\), got 'laion'"):
        clip_text.fetch("laion")


@pytest.mark.slow  # the tower has 87 million numbers
def test_a_fetched_tag_gives_the_tower_of_the_whole_clip(cache: Path) -> None:
    """As open_clip publishes it: text and picture towers in one file, of which the text is taken."""
    tower = ClipTextTower()
    snapshot = cache / _REPOSITORY / "snapshots" / _REVISION
    snapshot.mkdir(parents=True)
    (cache / _REPOSITORY / "refs").mkdir()
    (cache / _REPOSITORY / "refs" / "main").write_text(_REVISION, encoding="utf-8")
    whole = {name: tensor.half() for name, tensor in tower.tower.state_dict().items()}
    whole |= {"visual.conv1.weight": torch.zeros(40, 3, 3, 3), "logit_scale": torch.zeros(())}
    save_file(whole, snapshot / "open_clip_model.safetensors")

    loaded = clip_text.load(clip_text.fetch("openai"))

    expected = tower.half().float().encode(["a dog"])
    assert torch.equal(loaded.encode(["a dog"]).sentences, expected.sentences)
