"""Many processes by Lightning Fabric.

Run under torchrun, which says how many processes there are and where they meet:

    torchrun --nproc-per-node 8 --no-python univs train r50_stage1 --data data -o runs/s1 --strategy ddp
"""

import os
from enum import StrEnum
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.strategy import Strategy
from torch import Tensor, nn

from univs.errors import InputError
from univs.model import UniVS
from univs.training.processes import Compute


class Sharing(StrEnum):
    """What the processes of a run share."""

    DDP = "ddp"  # each has the whole network; gradients are averaged


class _Step(nn.Module):
    """A network whose forward pass is whatever is computed with it."""

    def __init__(self, model: UniVS) -> None:
        super().__init__()
        self.model = model

    def forward(self, compute: Compute) -> Tensor:
        """Compute a loss."""
        return compute(self.model)


class FabricProcesses:
    """The processes that torchrun started."""

    def __init__(self, sharing: Sharing = Sharing.DDP, device: str = "cuda") -> None:
        """Meet the other processes.

        Args:
            sharing: what they share.
            device: "cuda", one GPU for each process, or "cpu".

        Raises:
            InputError: when this process was not started by torchrun.
        """
        if not TorchElasticEnvironment.detect():
            raise InputError(
                f"expected to be started by torchrun for strategy {sharing.value!r}, got a process by itself; run "
                "`torchrun --nproc-per-node N --no-python univs train ...`, or leave --strategy out"
            )
        environment = TorchElasticEnvironment()
        local = int(os.environ["LOCAL_WORLD_SIZE"])  # of torchrun, like all that the environment reads
        self._fabric = Fabric(
            accelerator=torch.device(device).type,
            devices=local,
            num_nodes=environment.world_size() // local,
            strategy=_strategy(sharing, environment),
        )
        self._fabric.launch()
        self.sharing = sharing
        self._step: Any = None  # what Fabric makes of a module and of its optimizer, whose classes wrap any other
        self._optimizer: Any = None

    @property
    def rank(self) -> int:
        """Say which process this is."""
        return int(self._fabric.global_rank)

    @property
    def number(self) -> int:
        """Count the processes."""
        return int(self._fabric.world_size)

    @property
    def device(self) -> torch.device:
        """Say where this one computes."""
        return self._fabric.device

    def prepare(self, model: UniVS, optimizer: torch.optim.Optimizer) -> None:
        """Wrap network and optimizer."""
        self._step, self._optimizer = self._fabric.setup(_Step(model), optimizer)

    def forward(self, compute: Compute) -> Tensor:
        """Compute a loss by the network."""
        loss: Tensor = self._step(compute)
        return loss

    def backward(self, loss: Tensor) -> None:
        """Fill in the gradients: means over the processes."""
        self._fabric.backward(loss)

    def clip(self, max_norm: float) -> Tensor:
        """Cut the gradient of all parameters to a norm; give the norm that it had."""
        norm = self._fabric.clip_gradients(self._step, self._optimizer, max_norm=max_norm, error_if_nonfinite=False)
        assert norm is not None, "asked for a norm, not for a value"
        return norm

    def mean(self, value: Tensor) -> Tensor:
        """Average a tensor over the processes, without gradients."""
        averaged = self._fabric.all_reduce(value.detach().clone(), reduce_op="mean")
        assert isinstance(averaged, Tensor), "what goes in as a tensor comes out as one"
        return averaged

    def wait(self) -> None:
        """Wait until all processes are here."""
        self._fabric.barrier()


def _strategy(sharing: Sharing, environment: TorchElasticEnvironment) -> Strategy:
    match sharing:
        case Sharing.DDP:
            # Which queries a step uses depends on how its clips are prompted.
            return DDPStrategy(cluster_environment=environment, find_unused_parameters=True)
