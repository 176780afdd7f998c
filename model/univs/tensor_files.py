"""Our own files of tensors: safetensors with a format, a description and a hash of both inside, written as a whole."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from univs.errors import WeightsError, WeightsMismatchError

_HASH = "sha256"


def content_hash(tensors: Mapping[str, Tensor], described: str) -> str:
    """Hash names, types, shapes and values, and the text that describes them; equal content gives an equal hash."""
    digest = hashlib.sha256(described.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write(path: Path, kind: str, tensors: Mapping[str, Tensor], described: str, **more: str) -> str:
    """Write a file whole or not at all, and give its hash.

    Args:
        path: where to; the folder must exist.
        kind: the format, with its version.
        tensors: by name, contiguous.
        described: text that belongs to the tensors and is hashed with them.
        more: text that is not hashed.
    """
    digest = content_hash(tensors, described)
    partial = path.with_name(path.name + ".partial")
    save_file(dict(tensors), partial, {"format": kind, "config": described, _HASH: digest} | more)
    partial.replace(path)
    return digest


def read_metadata(path: Path, kind: str) -> dict[str, str]:
    """Read what a file says of itself: `format`, `config`, `sha256` and more; its tensors are not touched.

    Raises:
        WeightsError: when it is no safetensors file, or one of another format.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"expected a safetensors file at {path}, but it cannot be read as one: {error}") from error
    if metadata.get("format") != kind:
        raise WeightsError(
            f"expected a file of univs (format {kind}) at {path}, got format {metadata.get('format')}; "
            "published weights are brought over with `univs weights convert`"
        )
    return metadata


def read_tensors(path: Path, kind: str) -> dict[str, Tensor]:
    """Read the tensors of a file whose hash is right.

    Raises:
        WeightsError: as `read_metadata`.
        WeightsMismatchError: when the hash is another one.
    """
    metadata = read_metadata(path, kind)
    with safetensors.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
    found = content_hash(tensors, metadata.get("config", ""))
    if found != metadata.get(_HASH):
        raise WeightsMismatchError(
            f"{path} is damaged: expected sha256 {metadata.get(_HASH)}, got {found}; fetch the file again"
        )
    return tensors


def refuse_infinite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Check that all values are finite.

    Raises:
        WeightsMismatchError: when some are not.
    """
    wrong = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if wrong:
        raise WeightsMismatchError(
            f"expected finite values in {path}, but {len(wrong)} tensors hold others ({', '.join(sorted(wrong)[:3])}); "
            "training diverged: take another checkpoint"
        )
