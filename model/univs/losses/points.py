"""Points at which masks are compared.

Source: Kirillov et al., "PointRend", 2020: most points where the prediction is unsure, the rest anywhere.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class PointSampling:
    """How many points a mask is compared at, and how they are chosen (paper: 12544, 3, 0.75; released: 0.5)."""

    num_points: int = 12544
    oversampling: float = 3.0  # candidates for each point
    uncertain_share: float = 0.75  # points taken where the prediction is least sure

    def __post_init__(self) -> None:
        if self.num_points < 1 or self.oversampling < 1 or not 0 <= self.uncertain_share <= 1:
            raise ValueError(
                "need num_points >= 1, oversampling >= 1 and uncertain_share in 0..1, got "
                f"{self.num_points}, {self.oversampling} and {self.uncertain_share}"
            )


def sample_at(maps: Tensor, points_xy: Tensor) -> Tensor:
    """Read maps at points, bilinear; beyond the centres of the outermost cells they go on as they end.

    Args:
        maps: [N, H, W].
        points_xy: [N, P, 2], fractions of width and height.
    Returns:
        [N, P].
    """
    grid = (2 * points_xy - 1)[:, None]  # [N, 1, P, 2]
    values = functional.grid_sample(maps[:, None], grid, mode="bilinear", padding_mode="border", align_corners=False)
    return values[:, 0, 0]


def random_points(num_maps: int, num_points: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw points anywhere, where the generator is: [N, P, 2], on the device and in the type of `like`."""
    device = None if generator is None else generator.device
    points = torch.rand(num_maps, num_points, 2, generator=generator, device=device)
    return points.to(like)


def uncertain_points(mask_logits: Tensor, sampling: PointSampling, generator: torch.Generator | None) -> Tensor:
    """Draw points for each mask, most of them where its logit is near zero.

    Args:
        mask_logits: [N, H, W]; no gradient is needed.
        sampling: how many points, and how chosen.
        generator: source of randomness, on the CPU or the device of the logits; None is the global one of the CPU.
    Returns:
        [N, P, 2], fractions.
    """
    num_maps = mask_logits.shape[0]
    num_uncertain = int(sampling.num_points * sampling.uncertain_share)
    num_candidates = int(sampling.num_points * sampling.oversampling)
    candidates = random_points(num_maps, num_candidates, mask_logits, generator)
    certainty = sample_at(mask_logits, candidates).abs()
    chosen = certainty.topk(num_uncertain, dim=1, largest=False).indices  # [N, P']
    uncertain = candidates.gather(1, chosen[..., None].expand(-1, -1, 2))
    anywhere = random_points(num_maps, sampling.num_points - num_uncertain, mask_logits, generator)
    return torch.cat([uncertain, anywhere], dim=1)
