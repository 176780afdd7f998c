"""EfficientNet-Lite as an ONNX graph, written from a folded module: no tracing, no exporter.

The graph takes pictures of any size, any number of them, and gives the four maps with their channels last: the runtime
leaves its own blocked layout there at no cost, and what follows wants its maps so.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from univs.backbones.efficientnet_lite import EfficientNetLite, InvertedBottleneck, SamePadConvNorm
from univs.layers.norm import ConvNorm

INPUT = "images"
OUTPUTS = ("stride_4", "stride_8", "stride_16", "stride_32")

# The oldest formats that hold all we need, so that every runtime in the range we install reads them.
_OPSET = 13
_IR_VERSION = 8


def write_graph(backbone: EfficientNetLite) -> bytes:
    """Write a folded backbone: float32 pictures [N, 3, H, W] -> four maps [N, ceil(H / s), ceil(W / s), C]."""
    return _Writer().write(backbone)


class _Writer:
    """Nodes and weights of one graph while it is written. A method takes and gives names of values."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights = [
            numpy_helper.from_array(np.array(bound, dtype=np.float32), name)
            for name, bound in (("zero", 0.0), ("six", 6.0))
        ]

    def write(self, backbone: EfficientNetLite) -> bytes:
        x = self._relu6(self._convolve(backbone.stem, INPUT))
        outputs = []
        for name, stage in zip(OUTPUTS, backbone.stages, strict=True):
            for block in stage.children():
                assert isinstance(block, InvertedBottleneck)
                x = self._bottleneck(block, x)
            self._nodes.append(helper.make_node("Transpose", [x], [name], perm=[0, 2, 3, 1]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None, None, None]))
        images = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, 3, None, None])
        graph = helper.make_graph(self._nodes, "efficientnet_lite", [images], outputs, self._weights)
        opset = helper.make_opsetid("", _OPSET)
        return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION).SerializeToString())

    def _bottleneck(self, block: InvertedBottleneck, x: str) -> str:
        hidden = x if block.expand is None else self._relu6(self._convolve(block.expand, x))
        hidden = self._relu6(self._convolve(block.depthwise, hidden))
        hidden = self._convolve(block.project, hidden)
        return self._node("Add", [hidden, x]) if block.has_shortcut else hidden

    def _relu6(self, x: str) -> str:
        return self._node("Clip", [x, "zero", "six"])

    def _convolve(self, layer: ConvNorm, x: str) -> str:
        """Convolve with TensorFlow's padding, which equals ours at every stride."""
        conv = layer.conv
        assert layer.norm is None, "the norms are folded before the graph is written"
        assert conv.bias is not None
        zeros = layer.num_leading_zeros if isinstance(layer, SamePadConvNorm) else 0
        weights = [self._weight(conv.weight[..., zeros:, zeros:]), self._weight(conv.bias)]
        return self._node("Conv", [x, *weights], auto_pad="SAME_UPPER", strides=list(conv.stride), group=conv.groups)

    def _weight(self, values: Tensor) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values.detach().contiguous().numpy(), name))
        return name

    def _node(self, operation: str, inputs: list[str], **attributes: str | int | list[int]) -> str:
        name = f"value_{len(self._nodes)}"
        node = helper.make_node(operation, inputs, [name])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        return name
