"""A run's state on disk: written whole or not at all, read without running code from it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from univs.errors import InputError

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class TrainState:
    """Where a run stands after `step` steps."""

    step: int
    seconds: float  # spent training so far
    config_json: str
    model: dict[str, Tensor]
    average: dict[str, Tensor]
    num_average_updates: int
    optimizer: dict[str, Any]  # torch's own layout: numbers, lists and tensors


def write_state(path: Path, state: TrainState) -> None:
    """Write the state of a run beside its place, then move it there."""
    partial = path.with_suffix(".partial")
    content = {"format": _FORMAT, **{name: getattr(state, name) for name in TrainState.__slots__}}
    torch.save(content, partial)
    partial.replace(path)


def read_state(path: Path) -> TrainState:
    """Read the state of a run.

    Raises:
        InputError: when there is no such file, or it is of another format.
    """
    if not path.is_file():
        raise InputError(f"expected a training state at {path}, found none; start without --resume")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"{path} is no training state of format {_FORMAT}; start the run anew")
    return TrainState(**{name: content[name] for name in TrainState.__slots__})
