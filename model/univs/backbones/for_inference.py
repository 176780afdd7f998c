"""A backbone in the form that answers fastest: ONNX Runtime where it serves, torch everywhere else.

On a CPU, ONNX Runtime keeps maps in blocks of channels from the first convolution to the last and fuses each activation
into its convolution; torch does neither.
"""

from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor, nn

from univs.backbones.efficientnet_lite import EfficientNetLite
from univs.layers.norm import fold_norms

_STRIDES = (4, 8, 16, 32)
_PACKAGES = ("onnx", "onnxruntime")


def for_inference(backbone: nn.Module, dtype: torch.dtype | None = None) -> nn.Module:
    """Give a backbone that computes the same, fast; the one passed in is changed and belongs to it from then on.

    Args:
        backbone: without gradients, on the device where it will run.
        dtype: precision to compute in; None keeps it.
    """
    fold_norms(backbone)
    parameter = next(backbone.parameters())
    is_plain = dtype in (None, torch.float32) and parameter.dtype is torch.float32 and parameter.device.type == "cpu"
    if is_plain and isinstance(backbone, EfficientNetLite) and all(find_spec(package) for package in _PACKAGES):
        return OnnxBackbone(backbone, torch.get_num_threads())
    return TorchBackbone(backbone, dtype or parameter.dtype)


class TorchBackbone(nn.Module):
    """A folded backbone with channels last, which suits convolutions on CPUs."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network.to(dtype=dtype).to(memory_format=torch.channels_last)
        self._dtype = dtype

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Give maps at strides 4, 8, 16, 32 of normalised pictures [N, 3, H, W], channels last."""
        images = images.to(self._dtype).contiguous(memory_format=torch.channels_last)
        maps: tuple[Tensor, ...] = self.network(images)
        return maps


class OnnxBackbone(nn.Module):
    """A folded EfficientNet-Lite on ONNX Runtime.

    It reads and writes the memory of torch's tensors. Pictures are run one by one: how the runtime shares out the work
    depends on how many there are, and a picture's maps shall not.
    """

    def __init__(self, network: EfficientNetLite, num_threads: int) -> None:
        super().__init__()
        import onnxruntime  # type: ignore[import-untyped]

        from univs.backbones.onnx_graph import INPUT, OUTPUTS, write_graph

        self.network = network  # the weights, for those who count them; the session has its own
        self._input, self._outputs = INPUT, OUTPUTS
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # torch's threads want the cores next
        self._session = onnxruntime.InferenceSession(write_graph(network), options, providers=["CPUExecutionProvider"])

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Give maps at strides 4, 8, 16, 32 of normalised pictures [N, 3, H, W], float32 with channels last."""
        images = images.to("cpu", torch.float32).contiguous()  # the runtime is told an address, not a type
        height, width = images.shape[-2:]
        maps = [
            torch.empty(len(images), -(-height // stride), -(-width // stride), channels, dtype=torch.float32)
            for stride, channels in zip(_STRIDES, self.network.channels, strict=True)
        ]
        for index, image in enumerate(images):
            binding = self._session.io_binding()
            shape = (1, *image.shape)
            binding.bind_input(self._input, "cpu", 0, np.float32, shape, image.data_ptr())
            for name, level in zip(self._outputs, maps, strict=True):
                own = level[index]
                binding.bind_output(name, "cpu", 0, np.float32, (1, *own.shape), own.data_ptr())
            self._session.run_with_iobinding(binding)
        return tuple(level.permute(0, 3, 1, 2) for level in maps)
