"""The largest published networks run; their tensors are accounted for in the tests of conversion."""

import pytest
import torch

from univs.config import UniVSConfig, swin_b, swin_l
from univs.model import UniVS
from univs.prompt_encoder.sampling import CellChoice
from univs.prompt_encoder.visual import SamplerOptions, sample_masks


@pytest.mark.slow
@pytest.mark.parametrize(("config", "millions"), [(swin_b(), 110), (swin_l(), 218)], ids=["swin_b", "swin_l"])
@torch.inference_mode()
def test_a_large_network_answers_a_mask_in_two_frames(config: UniVSConfig, millions: int) -> None:
    torch.manual_seed(0)
    model = UniVS(config).eval()
    assert round(model.num_parameters / 1e6) == millions
    images = torch.randint(0, 256, (1, 2, 3, 70, 110), dtype=torch.uint8)
    features = model.encode_frames(images, torch.arange(2)[None])
    assert features.padded_size == (96, 128)
    mask = torch.zeros(1, 1, 96, 128, dtype=torch.bool)
    mask[..., 16:48, 24:64] = True
    options = SamplerOptions(32, 0, CellChoice.RASTER)
    tokens = sample_masks(features.levels[-1][:, 0], mask, torch.tensor([0]), options).foreground
    prediction = model.decode(
        features,
        model.visual_queries(tokens, features.frame_indices),
        use_learnable=True,
        class_table=torch.randn(5, config.text_dim),
    )
    assert prediction.mask_logits.shape == (1, 201, 2, 24, 32)
    assert prediction.class_logits is not None
    assert prediction.class_logits.shape == (1, 201, 5)
    for answer in (prediction.mask_logits, prediction.embeddings, prediction.class_logits):
        assert answer.isfinite().all()
