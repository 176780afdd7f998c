"""Whole videos in the published settings, against what the published code made of them, window by window."""

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
from tests.model.parity.fixtures import FOLDER, assert_close, assert_equal, needs_fixtures, read
from tests.model.parity.network import class_table, network
from torch import Tensor

from univs.config import r50
from univs.expression_decoding import EarlierMasks
from univs.inference.framing import Framing
from univs.inference.options import InferenceOptions, released_refvos, released_vos
from univs.inference.segmenter import VideoSegmenter
from univs.inference.stuff import StuffCategories
from univs.model import UniVS
from univs.prompt_encoder.text import TextFeatures
from univs.types import Clip, Frame, FrameResult, MaskPrompt, Prompt, TextPrompt

pytestmark = needs_fixtures

SIZE = (90, 150)
VIPSEG = slice(2924, 2924 + 124)
OUTPUT = Framing(frame=(108, 180), resized=SIZE, padded=(96, 160))
NUM_FRAMES = 5
EXPRESSIONS = ("a man is playing ice hockey", "the hockey goal cage")
DTYPES = (torch.float64, torch.float32)


def recorded(options: InferenceOptions) -> InferenceOptions:
    """Give the settings with which the fixtures were made."""
    return replace(options, clip_length=3, memory_frames=3, tokens_per_frame=256, short_side_px=90, object_tile=2)


def unpacked(fixture: dict[str, Tensor], name: str) -> Tensor:
    key = next(key for key in fixture if key.startswith(name))
    width = int(key.rsplit("_", 1)[1])
    return torch.from_numpy(np.unpackbits(fixture[key].numpy(), axis=-1, count=width)).bool()


class StoredSentences:
    """The text features of the fixtures, so that a stream does not depend on the text tower."""

    text_dim = 640

    def encode(self, texts: list[str]) -> TextFeatures:
        stored = read("expression_prompt")
        rows = [EXPRESSIONS.index(text) for text in texts]
        return TextFeatures(stored["sentence_feats"][rows], stored["word_feats"][rows])

    def encode_names(self, names: list[str]) -> Tensor:
        raise AssertionError(f"a stream of expressions has no categories, got {names}")


class Observed(VideoSegmenter):
    """A segmenter that tells when a window has been looked at."""

    after_window: Callable[[], None]

    def _look(self) -> None:
        super()._look()
        self.after_window()


class Recording:
    """A run, with the state of every object after each window, as the published code stores it."""

    def __init__(
        self, model: UniVS, options: InferenceOptions, prompts: list[Prompt], stuff: StuffCategories | None = None
    ) -> None:
        images = read("e2e_frames")["frames_uint8"].permute(0, 3, 1, 2)
        self.embeddings: list[Tensor] = []  # for each window [O, T, C]
        self.logits: list[Tensor] = []  # for each window [O, T, H, W]
        self._stepped = Observed(model, options, SIZE, stuff)
        self._stepped.after_window = self._record
        self._length = options.clip_length
        for prompt in prompts:
            self._stepped.add_prompt(prompt)
        self.results: list[FrameResult] = []
        for index in range(NUM_FRAMES):
            self.results += self._stepped.step(Clip((Frame(index, index, Fraction(1, 25), images[index]),)))
        self.results += self._stepped.finish()

    def _record(self) -> None:
        tracks = self._stepped.tracks
        self.embeddings.append(torch.stack([track.embeddings[-self._length :] for track in tracks]))
        self.logits.append(torch.stack([track.logits for track in tracks if track.logits is not None]))

    @property
    def masks(self) -> Tensor:
        """Give the masks as the published code writes them: each frame's from the last window that held it."""
        last = [self.logits[0][:, 0], self.logits[1][:, 0], *self.logits[2].unbind(dim=1)]
        return torch.stack([OUTPUT.enlarge(logits) > 0 for logits in last], dim=1)


def published(dtype: torch.dtype) -> UniVS:
    """Build the network anew, pixels normalised by the very numbers: one logit of a stream lies within 1e-6 of 0."""
    model = UniVS(r50()).to(dtype).eval().requires_grad_(False)
    model.load_state_dict(network("r50").state_dict())
    pixels = model.config.pixels
    model.pixel_mean = torch.tensor(pixels.mean, dtype=dtype).view(3, 1, 1)
    model.pixel_std = torch.tensor(pixels.std, dtype=dtype).view(3, 1, 1)
    return model


def stuff() -> StuffCategories:
    """Say which targets of the panoptic stream are stuff, with the two rows of the class table that it exchanged."""
    described = json.loads((FOLDER / "e2e_pvos.json").read_text())
    table = class_table().clone()
    here, there = described["swapped_rows_of_class_table"]
    table[[here, there]] = table[[there, here]]
    categories = dict(enumerate(described["gt_classes_0based"], start=1))
    is_stuff = {number - 1 for number in described["stuff_ids_1based"]}
    return StuffCategories(table[VIPSEG], {target: row for target, row in categories.items() if row in is_stuff})


@cache
def run(name: str, dtype: torch.dtype) -> Recording:
    model = published(dtype)
    if name in ("e2e_vos", "e2e_pvos"):
        given = unpacked(read("e2e_vos_prompts"), "gt_masks")
        prompts: list[Prompt] = [
            MaskPrompt(1 + row, frame, mask) for row, (frame, mask) in enumerate(zip((0, 0, 2), given, strict=True))
        ]
        return Recording(model, recorded(released_vos()), prompts, stuff() if name == "e2e_pvos" else None)
    model.text_encoder = StoredSentences()
    texts: list[Prompt] = [TextPrompt(1 + row, text) for row, text in enumerate(EXPRESSIONS)]
    options = recorded(released_refvos())
    if name == "e2e_refvos_prevmasks":
        options = replace(options, earlier_masks=EarlierMasks.PLACES)
    return Recording(model, options, texts)


STREAMS = ("e2e_vos", "e2e_pvos", "e2e_refvos", "e2e_refvos_prevmasks")


@pytest.mark.parametrize("name", STREAMS)
def test_a_video_is_segmented_as_published(name: str) -> None:
    fixture, found = read(name), run(name, torch.float64)
    for window, embeddings in enumerate(found.embeddings):
        assert_equal(embeddings, fixture[f"clip{window}_embds"])
    height, width = SIZE
    assert_equal(found.logits[-1][..., :height, :width], fixture["clip2_mask_logits"])
    assert torch.equal(found.masks, unpacked(fixture, "out_masks"))


@pytest.mark.parametrize("name", STREAMS)
def test_a_video_is_segmented_as_published_in_single_precision(name: str) -> None:
    fixture, found = read(name), run(name, torch.float32)
    for window, embeddings in enumerate(found.embeddings):
        assert_close(embeddings, fixture[f"clip{window}_embds"])
    height, width = SIZE
    assert_close(found.logits[-1][..., :height, :width], fixture["clip2_mask_logits"])
    expected = unpacked(fixture, "out_masks")
    assert (found.masks & expected).sum() / (found.masks | expected).sum() >= 0.99


@pytest.mark.parametrize("name", STREAMS)
def test_every_frame_has_one_result(name: str) -> None:
    assert [result.frame_index for result in run(name, torch.float64).results] == list(range(NUM_FRAMES))
