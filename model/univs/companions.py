"""What may lie beside a checkpoint NAME.safetensors: its text tower and its class vectors, in files of their own.

A text tower is larger than most networks, is the same for all published ones, and is needed for text only; class
vectors are needed for categories only. So each has its own file, found by name, and a checkpoint stays small:

    NAME.text.safetensors      the text tower of CLIP RN50x4; `univs.weights.load` attaches it when it is there
    NAME.classes.safetensors   rows of class vectors, with the name of each section
    NAME.text.names/           rows that the text tower gave for names of categories, kept for the next time
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from univs import tensor_files
from univs.errors import WeightsMismatchError
from univs.published_files import read_matrix

if TYPE_CHECKING:
    from univs.prompt_encoder.clip_text import ClipTextTower

_SUFFIX = ".safetensors"
_TEXT, _CLASSES = ".text", ".classes"
_TEXT_FORMAT, _CLASSES_FORMAT = "univs-text-1", "univs-classes-1"
_TOWER_NAME = json.dumps({"tower": "CLIP RN50x4"})

# (first row, number of rows) of each data set's categories in the published table of 3938 rows.
_PUBLISHED_ROWS = 3938
_PUBLISHED_SECTIONS = {
    "imagenet": (0, 1000),
    "lvis": (1000, 1203),
    "ytvis21": (2203, 40),
    "ovis": (2243, 25),
    "bdd_track": (2268, 8),
    "objects365": (2276, 365),
    "coco_panoptic": (2641, 133),
    "coco": (2641, 80),
    "ade20k": (2774, 150),
    "vipseg": (2924, 124),
    "ytvis19": (3048, 40),
    "entityseg_instance": (3088, 206),
    "entityseg_panoptic": (3294, 644),
}


@dataclass(frozen=True, slots=True)
class ClassVectors:
    """Rows to classify against, in the text space of a network."""

    vectors: Tensor  # float32 [K, D], not normalised
    sections: Mapping[str, tuple[int, int]]  # data set -> first row, number of rows

    def section(self, name: str) -> Tensor:
        """Give the rows of one data set: [N, D].

        Raises:
            WeightsMismatchError: when the table has no such section.
        """
        if name not in self.sections:
            raise WeightsMismatchError(
                f"expected one of the class tables {', '.join(self.sections) or '(none)'}, got '{name}'"
            )
        first, number = self.sections[name]
        return self.vectors[first : first + number]


def is_companion(path: Path) -> bool:
    """Whether a file is one that lies beside a checkpoint, not a checkpoint."""
    return path.name.endswith((_TEXT + _SUFFIX, _CLASSES + _SUFFIX))


def text_path(checkpoint: Path) -> Path:
    """Say where the text tower of a checkpoint lies, if it has one."""
    return checkpoint.with_name(checkpoint.name.removesuffix(_SUFFIX) + _TEXT + _SUFFIX)


def classes_path(checkpoint: Path) -> Path:
    """Say where the class vectors of a checkpoint lie, if it has some."""
    return checkpoint.with_name(checkpoint.name.removesuffix(_SUFFIX) + _CLASSES + _SUFFIX)


def names_folder(checkpoint: Path) -> Path:
    """Say where names that a checkpoint's text tower encoded are kept: beside the tower, also where that is a link."""
    return text_path(checkpoint).resolve().with_suffix(".names")


def write_text_tower(tower: "ClipTextTower", path: Path, *, half: bool = False) -> str:
    """Write a text tower and give its hash.

    Args:
        tower: of `clip_text.load`.
        path: of `text_path`.
        half: store float16; the published weights of CLIP are, so that this loses nothing with them.
    """
    tensors = {name: tensor.half() if half else tensor for name, tensor in tower.tower.state_dict().items()}
    return tensor_files.write(path, _TEXT_FORMAT, tensors, _TOWER_NAME)


def read_text_tower(path: Path) -> "ClipTextTower":
    """Read a text tower.

    Raises:
        WeightsError: when the file is none of ours.
        WeightsMismatchError: when its hash or its shapes are wrong, or its values are not finite.
    """
    from univs.prompt_encoder import clip_text

    tensors = tensor_files.read_tensors(path, _TEXT_FORMAT)
    tensor_files.refuse_infinite(path, tensors)
    return clip_text.build(tensors, path)


def text_tower_hash(path: Path) -> str:
    """Read the hash of a text tower, without its tensors.

    Raises:
        WeightsError: when the file is none of ours.
    """
    return tensor_files.read_metadata(path, _TEXT_FORMAT).get("sha256", "")


def read_published_classes(path: Path, text_dim: int) -> ClassVectors:
    """Read class vectors as they are published: one matrix, its sections known when it has all 3938 rows.

    Raises:
        WeightsNotFoundError: when there is no such file.
        WeightsMismatchError: when it is as wide as another text space, or not finite.
        WeightsError: when it holds no single matrix.
    """
    vectors = read_matrix(path)
    if vectors.shape[1] != text_dim:
        raise WeightsMismatchError(
            f"expected class vectors of {text_dim} numbers in {path}, got {vectors.shape[1]}; they must come from the "
            "text tower that the checkpoint was trained with"
        )
    tensor_files.refuse_infinite(path, {"class vectors": vectors})
    return ClassVectors(vectors.float(), _PUBLISHED_SECTIONS if len(vectors) == _PUBLISHED_ROWS else {})


def write_classes(classes: ClassVectors, path: Path) -> str:
    """Write class vectors and give their hash."""
    described = json.dumps({"sections": dict(classes.sections)}, sort_keys=True)
    return tensor_files.write(path, _CLASSES_FORMAT, {"vectors": classes.vectors.contiguous()}, described)


def read_classes(path: Path) -> ClassVectors:
    """Read class vectors.

    Raises:
        WeightsError: when the file is none of ours.
        WeightsMismatchError: when its hash is wrong, its content does not fit, or its values are not finite.
    """
    tensors = tensor_files.read_tensors(path, _CLASSES_FORMAT)
    tensor_files.refuse_infinite(path, tensors)
    described = json.loads(tensor_files.read_metadata(path, _CLASSES_FORMAT)["config"])
    vectors = tensors.get("vectors")
    if vectors is None or vectors.dim() != 2:
        raise WeightsMismatchError(f"expected one matrix 'vectors' in {path}, found {', '.join(tensors) or 'nothing'}")
    return ClassVectors(vectors.float(), {name: (rows[0], rows[1]) for name, rows in described["sections"].items()})
