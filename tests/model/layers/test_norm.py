import pytest
import torch
from torch import nn

from univs.backbones.efficientnet_lite import SamePadConvNorm
from univs.layers.drop_path import drop_path
from univs.layers.norm import ConvNorm, FrozenBatchNorm, fold_norms


def with_random_statistics(layer: ConvNorm) -> ConvNorm:
    torch.manual_seed(0)
    assert layer.norm is not None
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(layer.norm, name).copy_(torch.rand_like(getattr(layer.norm, name)) + 0.2)
    return layer.double()


def test_frozen_norm_equals_batch_norm_at_inference() -> None:
    reference = nn.BatchNorm2d(6).double().eval()
    norm = FrozenBatchNorm(6).double()
    for name in ("weight", "bias", "running_mean", "running_var"):
        value = torch.rand(6, dtype=torch.float64) + 0.1
        getattr(norm, name).copy_(value)
        getattr(reference, name).data.copy_(value)
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    assert torch.allclose(norm(x), reference(x))


@torch.no_grad()
def test_folding_changes_nothing() -> None:
    layer = with_random_statistics(ConvNorm(4, 6, 3, stride=2))
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    expected = layer.norm(nn.functional.conv2d(x, layer.conv.weight, stride=2, padding=1)) if layer.norm else x
    assert torch.allclose(layer(x), expected)
    fold_norms(layer)
    fold_norms(layer)
    assert layer.norm is None
    assert torch.allclose(layer(x), expected)


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("size", [(8, 10), (9, 7), (8, 7), (1, 1), (2, 2)])
@torch.no_grad()
def test_same_padding_folded_or_not_is_that_of_tensorflow(kernel_size: int, size: tuple[int, int]) -> None:
    layer = with_random_statistics(SamePadConvNorm(4, 4, kernel_size, stride=2, groups=4))
    x = torch.randn(1, 4, *size, dtype=torch.float64)
    margins = []
    for side in reversed(size):
        total = max(0, (-(-side // 2) - 1) * 2 + kernel_size - side)
        margins += [total // 2, total - total // 2]
    assert layer.norm is not None
    expected = layer.norm(nn.functional.conv2d(nn.functional.pad(x, margins), layer.conv.weight, stride=2, groups=4))
    assert expected.shape[-2:] == tuple(-(-side // 2) for side in size)
    assert torch.allclose(layer(x), expected)
    fold_norms(layer)
    assert torch.allclose(layer(x), expected)


def test_gradients_reach_the_convolution_and_not_the_norm() -> None:
    layer = ConvNorm(2, 3, 1)
    layer(torch.randn(1, 2, 4, 4)).sum().backward()
    assert layer.conv.weight.grad is not None
    assert [name for name, _ in layer.named_parameters()] == ["conv.weight"]


def test_dropped_paths_keep_the_mean_and_the_rest_is_untouched() -> None:
    torch.manual_seed(0)
    x = torch.ones(4000, 2, 1)
    dropped = drop_path(x, 0.25, is_training=True)
    assert torch.allclose(dropped[dropped != 0], torch.tensor(1 / 0.75))
    assert (dropped == 0).any()
    assert torch.equal(dropped[:, 0], dropped[:, 1])
    assert dropped.mean() == pytest.approx(1.0, abs=0.05)
    assert drop_path(x, 0.25, is_training=False) is x
