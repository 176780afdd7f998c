"""A linear map from the sentences of all-MiniLM-L6-v2 to another text space, in a small file of its own.

`univs weights fit-text` makes such a file (`univs.training.text_map`).
"""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from univs import tensor_files
from univs.errors import WeightsMismatchError
from univs.prompt_encoder.minilm import WIDTH

_FORMAT = "univs-text-map-1"


@dataclass(frozen=True, slots=True)
class TextMap:
    """sentence -> weight @ sentence + bias.

    Attributes:
        weight: float32 [D, 384].
        bias: float32 [D].
        recipe: JSON, how it was fitted and how good it is; hashed with the numbers.
        note: licence of what it was fitted on.
    """

    weight: Tensor
    bias: Tensor
    recipe: str
    note: str


def write(text_map: TextMap, path: Path) -> str:
    """Write a map in float16, whole or not at all, and give its hash."""
    tensors = {"weight": text_map.weight.half().contiguous(), "bias": text_map.bias.half().contiguous()}
    return tensor_files.write(path, _FORMAT, tensors, text_map.recipe, note=text_map.note)


def read(path: Path) -> TextMap:
    """Read a map.

    Raises:
        WeightsError: when the file is none of ours.
        WeightsMismatchError: when its hash or its shapes are wrong, or its values are not finite.
    """
    tensors = tensor_files.read_tensors(path, _FORMAT)
    tensor_files.refuse_infinite(path, tensors)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    text_dim = shapes.get("bias", (0,))[0]
    if shapes != {"weight": (text_dim, WIDTH), "bias": (text_dim,)}:
        raise WeightsMismatchError(
            f"expected a weight of D x {WIDTH} and a bias of D numbers in {path}, got {shapes}; "
            "make the map with `univs weights fit-text`"
        )
    metadata = tensor_files.read_metadata(path, _FORMAT)
    return TextMap(tensors["weight"].float(), tensors["bias"].float(), metadata["config"], metadata.get("note", ""))
