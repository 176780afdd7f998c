"""Read tensors from files that others published, pickled ones without executing code from them."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from univs.errors import WeightsError, WeightsNotFoundError

# What torch's restricted unpickler raises on bytes that are no checkpoint, besides its own error.
_BROKEN = (RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Give the tensors of a state dict: of a safetensors file, or of a pickled one, bare or as its entry "model".

    Raises:
        WeightsNotFoundError: when there is no such file.
        WeightsError: when it cannot be read, or holds no tensors by name.
    """
    loaded = _read(path)
    state = loaded.get("model", loaded.get("state_dict", loaded)) if isinstance(loaded, Mapping) else {}
    tensors = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise WeightsError(f"expected tensors by name at {path}, bare or as the entry 'model', but found none")
    return tensors


def read_matrix(path: Path) -> Tensor:
    """Give the one matrix of a file: a bare pickled tensor, a file with a single tensor of two axes, or `.npy`.

    Raises:
        WeightsNotFoundError: when there is no such file.
        WeightsError: when it cannot be read, or does not hold exactly one matrix of floats.
    """
    loaded = _read(path)
    found = [loaded] if isinstance(loaded, Tensor) else list(loaded.values()) if isinstance(loaded, Mapping) else []
    matrices = [value for value in found if isinstance(value, Tensor) and value.dim() == 2]
    if len(matrices) != 1 or not matrices[0].is_floating_point():
        raise WeightsError(
            f"expected one matrix of floats in {path} (rows of class vectors), found {len(matrices)} matrices; "
            "give the file of class vectors"
        )
    return matrices[0]


def _read(path: Path) -> object:
    if not path.is_file():
        raise WeightsNotFoundError(f"expected weights at {path}, but there is no such file; check the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".npy":
            return torch.from_numpy(np.load(path, allow_pickle=False))
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of pickles that others wrote
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"expected a file of tensors at {path}, but it cannot be read as one without executing code from it "
            f"({reason}); fetch it again, or save its tensors alone: torch.save({{'model': state_dict}}, ...)"
        ) from error
    except (safetensors.SafetensorError, *_BROKEN) as error:
        raise WeightsError(
            f"expected weights at {path}, but they cannot be read ({error}); fetch the file again"
        ) from error
