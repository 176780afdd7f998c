"""Checkpoints: one safetensors file that holds the weights, the config they belong to, and a hash of both.

Matrices and kernels are stored in float16, vectors (biases, norms) in float32. A text encoder is no part of it.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from univs import config as configs
from univs.config import EfficientNetLiteConfig, UniVSConfig
from univs.config_json import config_from_json, config_to_json
from univs.convert import Conversion, convert_published
from univs.errors import WeightsError, WeightsMismatchError, WeightsNotFoundError
from univs.model import UniVS
from univs.published_files import read_tensors

_FORMAT = "univs-weights-1"
_FOLDERS = (Path(__file__).parents[2] / "weights", Path(__file__).parent / "_weights")
_VARIANTS = {
    "nano": configs.nano,
    "tiny": configs.tiny,
    "r50": configs.r50,
    "swin_t": configs.swin_t,
    "swin_b": configs.swin_b,
    "swin_l": configs.swin_l,
}
_UNTRAINED = "untrained: random weights, the masks mean nothing"


@dataclass(frozen=True, slots=True)
class WeightsInfo:
    """What a checkpoint says of itself."""

    name: str
    sha256: str  # of the weights and the config
    is_trained: bool
    note: str  # licence of the training data, or that nothing was trained
    config: UniVSConfig


def load(name_or_path: str | Path, device: torch.device | str = "cpu") -> tuple[UniVS, WeightsInfo]:
    """Build a network with its weights, ready for inference.

    A name without a file (`tiny`, `r50` ...) gives seeded random weights, and its info says so.

    Raises:
        WeightsNotFoundError: for a name or path that nobody knows.
        WeightsMismatchError: for a file whose names, shapes, hash or config do not fit.
        WeightsError: for a file that is no checkpoint.
    """
    text = str(name_or_path)
    try:
        path = find(text)
    except WeightsNotFoundError:
        if text not in _VARIANTS:
            raise
        return _random(text, device)
    return _read(path, device)


def find(name_or_path: str | Path) -> Path:
    """Find the file of a checkpoint: a path, or a name in `weights/` of a checkout or in the installed package.

    Raises:
        WeightsNotFoundError: when there is none.
    """
    path = Path(name_or_path)
    if path.suffix == ".safetensors":
        if path.is_file():
            return path
        raise WeightsNotFoundError(f"expected a checkpoint at {path}, but there is no such file; check the path")
    for folder in _FOLDERS:
        candidate = folder / f"{path.name}.safetensors"
        if path.name == str(name_or_path) and candidate.is_file():
            return candidate
    raise WeightsNotFoundError(
        f"expected a path to a .safetensors file or one of {', '.join(names())}, got '{name_or_path}'"
    )


def names() -> tuple[str, ...]:
    """List what `load` knows by name: shipped checkpoints and the variants that start untrained."""
    shipped = {path.stem for folder in _FOLDERS if folder.is_dir() for path in folder.glob("*.safetensors")}
    return tuple(sorted(shipped | set(_VARIANTS)))


def save(model: UniVS, path: Path, info: WeightsInfo) -> WeightsInfo:
    """Write a checkpoint, whole or not at all.

    Args:
        model: the network; its text encoder is left out.
        path: where to; the folder must exist.
        info: name, note and is_trained are taken from it; hash and config are worked out.
    Returns:
        What the file says of itself.
    """
    tensors = {name: _packed(tensor) for name, tensor in _own_state(model).items()}
    described = config_to_json(model.config)
    digest = _hash(tensors, described)
    metadata = {
        "format": _FORMAT,
        "name": info.name,
        "note": info.note,
        "is_trained": json.dumps(info.is_trained),
        "config": described,
        "sha256": digest,
    }
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata)
    partial.replace(path)
    return replace(info, sha256=digest, config=model.config)


def describe(name_or_path: str | Path) -> WeightsInfo:
    """Read what a checkpoint says of itself, without its weights and without checking its hash.

    Raises:
        WeightsError: as `load`.
    """
    path = find(name_or_path)
    return _info(path, _metadata(path))


def load_published(path: Path, variant: str, *, use_averages: bool = False) -> tuple[UniVS, WeightsInfo, Conversion]:
    """Build a network from a published checkpoint (`{"model": state dict}`), read without executing code from it.

    Args:
        path: the published file.
        variant: `r50`, `swin_t`, `swin_b` or `swin_l`.
        use_averages: take the running averages that checkpoints of the third training stage hold.
    Returns:
        The network, what to write into its own checkpoint, and the account of every tensor.
    Raises:
        WeightsNotFoundError: when there is no such file, or no such variant.
        WeightsMismatchError: for a checkpoint of another variant.
        WeightsError: for a file that cannot be read.
    """
    if variant not in _VARIANTS:
        raise WeightsNotFoundError(f"expected one of the variants {', '.join(_VARIANTS)}, got '{variant}'")
    tensors = read_tensors(path)
    model = UniVS(_VARIANTS[variant]())
    conversion = convert_published(tensors, model.state_dict(), use_averages=use_averages)
    model.load_state_dict(conversion.state, strict=False)
    note = f"published weights of {variant}; see their authors for terms of use"
    return model.eval(), WeightsInfo(variant, "", True, note, model.config), conversion


def _read(path: Path, device: torch.device | str) -> tuple[UniVS, WeightsInfo]:
    metadata = _metadata(path)
    info = _info(path, metadata)
    with safetensors.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
    found = _hash(tensors, metadata["config"])
    if found != info.sha256:
        raise WeightsMismatchError(
            f"{path} is damaged: expected sha256 {info.sha256}, got {found}; fetch the file again"
        )
    model = UniVS(_without_download(info.config))
    expected = _own_state(model)
    wrong = [
        name
        for name in sorted(expected.keys() | tensors.keys())
        if name not in expected or name not in tensors or expected[name].shape != tensors[name].shape
    ]
    if wrong:
        raise WeightsMismatchError(
            f"{path} does not fit this version of univs: {len(wrong)} of its tensors are missing, unknown or of "
            f"another shape ({', '.join(wrong[:5])} ...); use weights made for this version"
        )
    model.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()})
    return model.to(device).eval(), info


def _random(name: str, device: torch.device | str) -> tuple[UniVS, WeightsInfo]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(name.encode()))
        model = UniVS(_VARIANTS[name]())
    digest = _hash(_own_state(model), config_to_json(model.config))
    return model.to(device).eval(), WeightsInfo(name, digest, False, _UNTRAINED, model.config)


def _own_state(model: UniVS) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("text_encoder.")}


def _packed(tensor: Tensor) -> Tensor:
    """Store matrices and kernels in half the bytes; vectors keep their precision, they weigh nothing."""
    detached = tensor.detach().cpu().contiguous()
    return detached.half() if detached.is_floating_point() and detached.dim() >= 2 else detached.clone()


def _hash(tensors: Mapping[str, Tensor], described: str) -> str:
    digest = hashlib.sha256(described.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"expected a safetensors file at {path}, but it cannot be read as one: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise WeightsError(
            f"expected a checkpoint of univs (format {_FORMAT}) at {path}, got format {metadata.get('format')}; "
            "published weights are brought over with `univs weights convert`"
        )
    return metadata


def _info(path: Path, metadata: Mapping[str, str]) -> WeightsInfo:
    try:
        return WeightsInfo(
            metadata["name"],
            metadata["sha256"],
            bool(json.loads(metadata["is_trained"])),
            metadata["note"],
            config_from_json(metadata["config"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsMismatchError(
            f"the description inside {path} does not fit this version of univs ({error}); "
            "use weights made for this version"
        ) from error


def _without_download(config: UniVSConfig) -> UniVSConfig:
    """Build without the backbone's ImageNet weights: the checkpoint replaces them."""
    if isinstance(config.backbone, EfficientNetLiteConfig):
        return replace(config, backbone=replace(config.backbone, pretrained=False))
    return config
