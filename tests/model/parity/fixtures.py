"""Fixtures of the published network: deterministic weights by name, and what the network answered with them.

They lie beside the checkout, in `../shared/univs/parity` from the root of the repository; without them these tests are
skipped, or fail when `UNIVS_PARITY=required` (`make parity`).
"""

import importlib.util
import json
import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file
from tests.model.parity.report import Comparison, MaskIou, note
from torch import Tensor, nn

from univs.convert import published_key

REPOSITORY = next(parent for parent in Path(__file__).parents if (parent / "pyproject.toml").is_file())
FOLDER = REPOSITORY.parent / "shared" / "univs" / "parity"

IS_REQUIRED = os.environ.get("UNIVS_PARITY") == "required"

needs_fixtures = [
    pytest.mark.parity,
    pytest.mark.skipif(
        not FOLDER.is_dir() and not IS_REQUIRED, reason="the parity fixtures do not lie beside the checkout"
    ),
]
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
_fixture_of_storage: dict[int, str] = {}

Fill = Callable[[str, Iterable[int]], npt.NDArray[np.float32]]


@cache  # the tensors live on, so that their storages name their fixture
def read(name: str) -> dict[str, Tensor]:
    tensors = load_file(FOLDER / f"{name}.safetensors")
    _fixture_of_storage.update({tensor.untyped_storage().data_ptr(): name for tensor in tensors.values()})
    return tensors


def published_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the float tensors of a published layout."""
    layout = json.loads((FOLDER / f"keys_{name}.json").read_text())["state_dict"]
    return {key: tuple(entry["shape"]) for key, entry in layout.items() if entry["dtype"] == "float32"}


def fill(module: nn.Module, prefix: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Give every tensor of a module the deterministic value of its published name."""
    value_of = fill_rule()
    state = {}
    for key, tensor in module.state_dict().items():
        name = published_key(prefix + key)
        assert name is not None, key
        state[key] = torch.from_numpy(value_of(name, tensor.shape))
    module.load_state_dict(state)
    return module.to(dtype).eval()


def normalised(images: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """Turn uint8 [N, H, W, 3] into what the backbone takes: [N, 3, H, W]."""
    mean = torch.tensor((123.675, 116.28, 103.53), dtype=torch.float64)
    std = torch.tensor((58.395, 57.12, 57.375), dtype=torch.float64)
    return ((images.double() - mean) / std).permute(0, 3, 1, 2).to(dtype)


def assert_as_published(got: Tensor, expected: Tensor) -> None:
    """Compare by the tolerance of the type that was computed in."""
    check = assert_equal if got.dtype is torch.float64 else assert_close
    check(got, expected)


def assert_equal(got: Tensor, expected: Tensor, fixture: str | None = None) -> None:
    """Compare a float64 result: relative error at most 1e-5."""
    comparison = compare(got, expected, fixture)
    note(comparison)
    error = comparison.error
    assert error <= 1e-5, f"relative error {error:.2e}"


def assert_close(got: Tensor, expected: Tensor, fixture: str | None = None) -> None:
    """Compare a float32 result: 99% of entries within 1e-3 of max(1, rms)."""
    comparison = compare(got, expected, fixture)
    note(comparison)
    share = comparison.num_close / comparison.num_entries
    assert share >= 0.99, f"only {share:.4f} of the entries are close enough"


def mask_iou(got: Tensor, expected: Tensor) -> MaskIou:
    """Give the IoU of N masks taken together and of the worst one, from logits [N, ...]."""
    ours, theirs = (logits.flatten(1) > 0 for logits in (got, expected))
    both, either = (ours & theirs).sum(dim=1), (ours | theirs).sum(dim=1)
    each = torch.where(either > 0, both / either.clamp(min=1), 1.0)
    return MaskIou(float(both.sum() / either.sum().clamp(min=1)), float(each.min()))


def compare(got: Tensor, expected: Tensor, fixture: str | None = None) -> Comparison:
    """Measure how far a result is from a fixture; the fixture is known by the tensor, if it was not copied."""
    assert got.shape == expected.shape
    ours, theirs = got.double(), expected.double()
    difference = (ours - theirs).abs()
    error = max(difference.norm() / theirs.norm(), difference.max() / theirs.abs().max())
    limit = 1e-3 * max(1.0, float(theirs.square().mean().sqrt()))
    name = fixture or _fixture_of_storage.get(expected.untyped_storage().data_ptr(), "")
    kind = str(got.dtype).removeprefix("torch.")
    return Comparison(name, kind, float(error), int((difference <= limit).sum()), difference.numel())


@cache
def fill_rule() -> Fill:
    """Load the rule that gives every published name its value."""
    spec = importlib.util.spec_from_file_location("published_fill", FOLDER / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Fill, module.fill)
