"""Fixtures of the published network: deterministic weights by name, and what the network answered with them.

They lie beside the checkout, in `../shared/univs/parity` from the root of the repository; without them these tests are
skipped.
"""

import importlib.util
import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from univs.convert import published_key

_REPOSITORY = next(parent for parent in Path(__file__).parents if (parent / "pyproject.toml").is_file())
FOLDER = _REPOSITORY.parent / "shared" / "univs" / "parity"

needs_fixtures = [
    pytest.mark.parity,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the parity fixtures do not lie beside the checkout"),
]

Fill = Callable[[str, Iterable[int]], npt.NDArray[np.float32]]


def read(name: str) -> dict[str, Tensor]:
    return load_file(FOLDER / f"{name}.safetensors")


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


def assert_equal(got: Tensor, expected: Tensor) -> None:
    """Compare a float64 result: relative error at most 1e-5."""
    assert got.shape == expected.shape
    error = (got.double() - expected.double()).norm() / expected.double().norm()
    assert error <= 1e-5, f"relative error {error:.2e}"
    worst = (got.double() - expected.double()).abs().max() / expected.double().abs().max()
    assert worst <= 1e-5, f"largest error {worst:.2e} of the largest entry"


def assert_close(got: Tensor, expected: Tensor) -> None:
    """Compare a float32 result: 99% of entries within 1e-3 of max(1, rms)."""
    assert got.shape == expected.shape
    limit = 1e-3 * max(1.0, float(expected.double().square().mean().sqrt()))
    share = ((got.double() - expected.double()).abs() <= limit).double().mean()
    assert share >= 0.99, f"only {share:.4f} of the entries are within {limit:.1e}"


@cache
def fill_rule() -> Fill:
    """Load the rule that gives every published name its value."""
    spec = importlib.util.spec_from_file_location("published_fill", FOLDER / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Fill, module.fill)
