"""From the user's frame to the network's picture and back."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

_STRIDE = 32


@dataclass(frozen=True, slots=True)
class Framing:
    """The three sizes of one video, each (height, width) in pixels."""

    frame: tuple[int, int]  # as decoded
    resized: tuple[int, int]  # as the network wants it
    padded: tuple[int, int]  # resized, rounded up to a multiple of 32

    @classmethod
    def fit(cls, frame: tuple[int, int], short_side_px: int, long_side_max_px: int) -> "Framing":
        """Choose the network's size: short side as asked, unless the long side would be too long."""
        height, width = frame
        scale = short_side_px / min(height, width)
        if max(height, width) * scale > long_side_max_px:
            scale = long_side_max_px / max(height, width)
        resized = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))
        padded = (-(-resized[0] // _STRIDE) * _STRIDE, -(-resized[1] // _STRIDE) * _STRIDE)
        return cls(frame, resized, padded)

    def shrink(self, images: Tensor) -> Tensor:
        """Resize frames for the network: uint8 [T, 3, H, W] -> uint8 [T, 3, h, w], antialiased."""
        if tuple(images.shape[-2:]) == self.resized:
            return images
        return functional.interpolate(images, size=self.resized, mode="bilinear", align_corners=False, antialias=True)

    def place(self, mask: Tensor) -> Tensor:
        """Bring a mask of the frame to the padded picture: bool [H, W] -> bool [H', W']."""
        values = mask[None, None].float()
        if self.frame != self.resized:
            values = functional.interpolate(values, size=self.resized, mode="nearest-exact")
        missing = (self.padded[0] - self.resized[0], self.padded[1] - self.resized[1])
        return functional.pad(values, (0, missing[1], 0, missing[0]))[0, 0] > 0

    def enlarge(self, mask_logits: Tensor) -> Tensor:
        """Bring logits back to the frame: [N, H/4, W/4] of the padded picture -> [N, H, W]."""
        at_padded = functional.interpolate(mask_logits[:, None], size=self.padded, mode="bilinear", align_corners=False)
        cropped = at_padded[..., : self.resized[0], : self.resized[1]]
        if self.frame == self.resized:
            return cropped[:, 0]
        return functional.interpolate(cropped, size=self.frame, mode="bilinear", align_corners=False)[:, 0]
