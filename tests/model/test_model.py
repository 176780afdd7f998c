import pytest
import torch
from torch import Tensor

from univs import weights
from univs.errors import UnsupportedPromptError
from univs.mask_decoder import SelfAttention
from univs.model import UniVS
from univs.prompt_encoder import SamplerOptions, sample_masks
from univs.types import PromptQueries


@pytest.fixture(scope="module")
def model() -> UniVS:
    return weights.load("tiny")[0].requires_grad_(False)


def frames(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def queries(model: UniVS, images: Tensor, number: int) -> PromptQueries:
    features = model.encode_frames(images, torch.arange(images.shape[1])[None])
    height, width = features.padded_size
    masks = torch.zeros(1, number, height, width, dtype=torch.bool)
    for index in range(number):
        masks[0, index, 8 * index : 8 * index + 24, 8:40] = True
    options = SamplerOptions(8, 8)
    tokens = sample_masks(features.levels[2][:, 0], masks, torch.tensor([0]), options).foreground
    prompts: PromptQueries = model.visual_queries(tokens, features.frame_indices)
    return prompts


@pytest.mark.parametrize("size", [(32, 32), (33, 95), (64, 31), (1, 1), (90, 150)])
@pytest.mark.parametrize("num_frames", [1, 3])
def test_any_frame_size_is_padded_to_multiples_of_32(model: UniVS, size: tuple[int, int], num_frames: int) -> None:
    features = model.encode_frames(frames(1, num_frames, 3, *size), torch.arange(num_frames)[None])
    height, width = (-(-side // 32) * 32 for side in size)
    assert features.padded_size == (height, width)
    assert features.mask_features.shape == (1, num_frames, 16, height // 4, width // 4)
    assert [tuple(level.shape[-2:]) for level in features.levels] == [
        (height // stride, width // stride) for stride in (32, 16, 8)
    ]


def test_padding_is_the_mean_colour(model: UniVS) -> None:
    images = frames(1, 1, 3, 50, 70).float()
    mean = model.pixel_mean.expand(3, 64, 96).clone()
    mean[:, :50, :70] = images[0, 0]
    ours = model.encode_frames(images, torch.zeros(1, 1, dtype=torch.int64))
    by_hand = model.encode_frames(mean[None, None], torch.zeros(1, 1, dtype=torch.int64))
    torch.testing.assert_close(ours.mask_features, by_hand.mask_features)


def test_a_frame_is_encoded_the_same_in_any_clip(model: UniVS) -> None:
    images = frames(1, 3, 3, 64, 64)
    together = model.encode_frames(images, torch.arange(3)[None])
    alone = model.encode_frames(images[:, 2:], torch.tensor([[2]]))
    torch.testing.assert_close(together.mask_features[:, 2:], alone.mask_features, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("number", [0, 1, 40])
@pytest.mark.parametrize("num_frames", [1, 7])
def test_any_number_of_objects_decodes(model: UniVS, number: int, num_frames: int) -> None:
    images = frames(1, num_frames, 3, 64, 64)
    features = model.encode_frames(images, torch.arange(num_frames)[None])
    prompts = queries(model, images, number)
    for tile_size in (None, 4):
        prediction = model.decode(
            features,
            prompts,
            use_learnable=True,
            self_attention=SelfAttention.BLOCKED,
            tile_size=tile_size,
        )
        assert prediction.mask_logits.shape == (1, 8 + number, num_frames, 16, 16)
        assert prediction.mask_logits.isfinite().all()


def test_inference_form_answers_the_same() -> None:
    plain, quick = weights.load("tiny")[0].requires_grad_(False), weights.load("tiny")[0].optimize_for_inference()
    images, index = frames(1, 1, 3, 64, 96), torch.zeros(1, 1, dtype=torch.int64)
    torch.testing.assert_close(
        plain.encode_frames(images, index).mask_features,
        quick.encode_frames(images, index).mask_features,
        atol=1e-3,
        rtol=1e-3,
    )
    half = weights.load("tiny")[0].optimize_for_inference(torch.bfloat16)
    features = half.encode_frames(images, index)
    assert features.mask_features.dtype is torch.float32
    assert features.mask_features.isfinite().all()


def test_text_without_a_text_encoder_says_what_to_do(model: UniVS) -> None:
    for ask in (lambda: model.encode_text(["a cat"]), lambda: model.encode_names(["cat"])):
        with pytest.raises(UnsupportedPromptError, match=r"text encoder.*prompt with points"):
            ask()


def test_the_text_encoder_is_no_part_of_the_weights(model: UniVS) -> None:
    before = model.num_parameters
    model.text_encoder = torch.nn.Linear(3, 3)  # type: ignore[assignment]  # any module will do
    try:
        assert model.num_parameters == before
        assert "text_encoder.weight" in model.state_dict()
    finally:
        model.text_encoder = None
