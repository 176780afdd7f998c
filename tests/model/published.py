"""Checkpoints laid out as the published ones, made from our own network and its table of names."""

import torch
from torch import Tensor

from univs.config import UniVSConfig
from univs.convert import published_key
from univs.model import UniVS

PREDICTOR = "sem_seg_head.predictor."


def published_state(config: UniVSConfig, device: str = "meta") -> dict[str, Tensor]:
    """Give every published tensor of a network; its values are zeros, in half precision."""
    with torch.device("meta"):
        ours = UniVS(config).state_dict()
    state = {f"{PREDICTOR}reid_temp.weight": torch.zeros(1, 1, dtype=torch.float16, device=device)}
    for key, tensor in ours.items():
        name = published_key(key)
        if name is None:
            continue
        shape = list(tensor.shape)
        if "in_proj_" in name:
            shape[0] *= 3
        state[name] = torch.zeros(shape, dtype=torch.float16, device=device)
    return state


def averages_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the names under which the third training stage keeps running averages."""
    marked = (("backbone.", "backbone_t."), ("sem_seg_head.", "sem_seg_head_t."))
    return {
        new + key.removeprefix(old): value for key, value in state.items() for old, new in marked if key.startswith(old)
    }
