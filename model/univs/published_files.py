"""Read tensors from files that others published, pickled ones without executing code from them."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from univs.errors import WeightsError, WeightsNotFoundError

# What torch's restricted unpickler raises on bytes that are no checkpoint, besides its own error.
_BROKEN = (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Give the tensors of a state dict: of a safetensors file, or of a pickled one, bare or as its entry "model".

    Raises:
        WeightsNotFoundError: when there is no such file.
        WeightsError: when it cannot be read, or holds no tensors by name.
    """
    if not path.is_file():
        raise WeightsNotFoundError(f"expected weights at {path}, but there is no such file; check the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (safetensors.SafetensorError, *_BROKEN) as error:
        raise WeightsError(
            f"expected weights at {path}, but they cannot be read ({error}); fetch the file again"
        ) from error
    state = loaded.get("model", loaded.get("state_dict", loaded)) if isinstance(loaded, Mapping) else {}
    tensors = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise WeightsError(f"expected tensors by name at {path}, bare or as the entry 'model', but found none")
    return tensors
