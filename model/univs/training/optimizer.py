"""AdamW with groups of parameters, the learning rate over time, and an average of the weights."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from univs.training.config import OptimizerConfig, Schedule

_BACKBONE = "backbone."


def build_optimizer(model: nn.Module, config: OptimizerConfig, frozen: Iterable[str] = ()) -> torch.optim.AdamW:
    """Group the parameters: backbone or not, decayed or not; freeze those whose name has a given prefix.

    Vectors (norms, biases, scalars) and embedding tables are not decayed.
    """
    prefixes = tuple(frozen)
    embeddings = {
        f"{name}.weight" if name else "weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding)
    }
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if prefixes and name.startswith(prefixes):
            parameter.requires_grad_(False)
            continue
        if not parameter.requires_grad:
            continue
        is_backbone = name.startswith(_BACKBONE)
        is_decayed = parameter.ndim > 1 and name not in embeddings and not _is_table(name)
        groups.setdefault((is_backbone, is_decayed), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr_factor": config.backbone_factor if is_backbone else 1.0,
                "weight_decay": config.weight_decay if is_decayed else 0.0,
            }
            for (is_backbone, is_decayed), parameters in sorted(groups.items())
        ],
        lr=config.learning_rate,
    )


def rate_factor(step: int, num_steps: int, config: OptimizerConfig) -> float:
    """Give the learning rate of a step relative to the configured one: a linear rise, then the schedule."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = min(1.0, (step - config.warmup_steps) / max(1, num_steps - config.warmup_steps))
    match config.schedule:
        case Schedule.COSINE:
            falling = (1 + math.cos(math.pi * progress)) / 2
            return config.final_factor + (1 - config.final_factor) * falling
        case Schedule.STEP:
            return 0.1 if step >= config.drop_at * num_steps else 1.0


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group, its own factor included."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_factor"]


class WeightAverage:
    """An exponential moving average of a network's weights; young averages forget faster."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self.num_updates = 0
        self.state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights as they are now."""
        self.num_updates += 1
        decay = min(self._decay, (1 + self.num_updates) / (10 + self.num_updates))
        for name, tensor in model.state_dict().items():
            average = self.state[name]
            if average.is_floating_point():
                average.lerp_(tensor.to(average.dtype), 1 - decay)
            else:
                average.copy_(tensor)

    def load(self, state: dict[str, Tensor], num_updates: int) -> None:
        """Go on from a saved average."""
        self.state = {name: tensor.clone() for name, tensor in state.items()}
        self.num_updates = num_updates


def _is_table(name: str) -> bool:
    """Say whether a bare parameter is a table of learned vectors rather than a matrix of a layer."""
    return not name.endswith((".weight", ".bias"))
