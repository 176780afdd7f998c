"""One process or many: what a step of training does differently when it is shared.

Alone, nothing is wrapped and nothing is sent. Under torchrun, Lightning Fabric wraps the network for DDP; a step is one
call of one module, so that it sees one forward pass however often parts of the network are used in it.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from univs.model import UniVS

Compute = Callable[[UniVS], Tensor]


class Processes(Protocol):
    """The processes of a run, as each of them sees them."""

    @property
    def rank(self) -> int:
        """Say which this is, from 0."""
        ...

    @property
    def number(self) -> int:
        """Count them."""
        ...

    @property
    def device(self) -> torch.device:
        """Say where this one computes."""
        ...

    def prepare(self, model: UniVS, optimizer: torch.optim.Optimizer) -> None:
        """Take a network that lies on the device; once, before the first step."""
        ...

    def forward(self, compute: Compute) -> Tensor:
        """Compute a loss by the network."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Fill in the gradients: means over the processes."""
        ...

    def clip(self, max_norm: float) -> Tensor:
        """Cut the gradient of all parameters to a norm; give the norm that it had."""
        ...

    def mean(self, value: Tensor) -> Tensor:
        """Average a tensor over the processes, without gradients."""
        ...

    def wait(self) -> None:
        """Wait until all processes are here."""
        ...


class OneProcess:
    """A run by itself."""

    rank = 0
    number = 1

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._model: UniVS | None = None

    def prepare(self, model: UniVS, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG002 - nothing is wrapped
        """Take the network as it is."""
        self._model = model

    def forward(self, compute: Compute) -> Tensor:
        """Compute a loss by the network."""
        assert self._model is not None, "prepared before the first step"
        return compute(self._model)

    def backward(self, loss: Tensor) -> None:
        """Fill in the gradients."""
        torch.autograd.backward(loss)

    def clip(self, max_norm: float) -> Tensor:
        """Cut the gradient of all parameters to a norm; give the norm that it had."""
        assert self._model is not None, "prepared before the first step"
        norm: Tensor = nn.utils.clip_grad_norm_(self._model.parameters(), max_norm)
        return norm

    def mean(self, value: Tensor) -> Tensor:
        """Give the value."""
        return value

    def wait(self) -> None:
        """Go on."""
