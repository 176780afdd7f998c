"""Checkpoints: one safetensors file that holds the weights, the config they belong to, and a hash of both.

Shipped checkpoints hold matrices and kernels in float16, vectors (biases, norms) in float32; converted ones hold all as
published. A text tower and class vectors lie beside a checkpoint in files of their own (`univs.companions`).
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from univs import config as configs
from univs import tensor_files
from univs.companions import (
    ClassVectors,
    classes_path,
    is_companion,
    names_folder,
    read_classes,
    read_text_tower,
    text_path,
    text_tower_hash,
)
from univs.config import EfficientNetLiteConfig, UniVSConfig
from univs.config_json import config_from_json, config_to_json
from univs.convert import Conversion, convert_published, guess_variant
from univs.errors import WeightsMismatchError, WeightsNotFoundError
from univs.model import UniVS
from univs.prompt_encoder import TextEncoder, minilm, text_map
from univs.prompt_encoder.remembered_names import RememberedNames
from univs.prompt_encoder.sentence_text import SentenceTextEncoder
from univs.prompt_encoder.text import TextFeatures
from univs.published_files import read_tensors
from univs.types import Compat, PromptKind

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
_PUBLISHED = ("r50", "swin_t", "swin_b", "swin_l")
_VISUAL_ONLY = json.dumps([PromptKind.VISUAL])  # what files that do not say were trained for
# A network of 512 text dimensions speaks of CLIP ViT-B/32, and reads text through this map.
_TEXT_MAP = "minilm-clip-vit-b32.text.safetensors"
_TEXT_MAP_DIM = 512
_UNTRAINED = "untrained: random weights, the masks mean nothing"


@dataclass(frozen=True, slots=True)
class WeightsInfo:
    """What a checkpoint says of itself."""

    name: str
    sha256: str  # of the weights and the config
    is_trained: bool
    note: str  # licence of the training data, or that nothing was trained
    config: UniVSConfig
    trained_for: tuple[PromptKind, ...] = (PromptKind.VISUAL,)  # prompts of other kinds give noise
    compat: Compat = Compat.PAPER  # the semantics that they were made for


def load(name_or_path: str | Path, device: torch.device | str = "cpu") -> tuple[UniVS, WeightsInfo]:
    """Build a network with its weights, ready for inference.

    A name without a file (`tiny`, `r50` ...) gives seeded random weights, and its info says so. A text tower that lies
    beside the file is attached; without one, a network in the text space of CLIP ViT-B/32 reads text offline, where the
    packages of `univs[text]` are installed.

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
    return tuple(sorted({path.stem for path in files()} | set(_VARIANTS)))


def files() -> tuple[Path, ...]:
    """List the checkpoints that lie in `weights/` of a checkout or in the installed package; the first of a name."""
    found: dict[str, Path] = {}
    for folder in _FOLDERS:
        for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else ():
            if not is_companion(path):
                found.setdefault(path.stem, path)
    return tuple(found.values())


def text_map_path() -> Path | None:
    """Find the shipped map by which networks in the text space of CLIP ViT-B/32 read text offline."""
    return next((folder / _TEXT_MAP for folder in _FOLDERS if (folder / _TEXT_MAP).is_file()), None)


def offline_text(config: UniVSConfig) -> TextEncoder | None:
    """Give a network's offline text encoder, whose large part is loaded with the first text.

    None for networks of another text space than CLIP ViT-B/32's, and where `univs[text]` is not installed.
    """
    path = text_map_path()
    if config.text_dim != _TEXT_MAP_DIM or path is None or not minilm.is_installed():
        return None
    return SentenceTextEncoder(text_map.read(path))


def variants() -> dict[str, UniVSConfig]:
    """Give the architectures that `load` starts untrained while no file has their name."""
    return {name: build() for name, build in _VARIANTS.items()}


def save(model: UniVS, path: Path, info: WeightsInfo, *, half: bool = True) -> WeightsInfo:
    """Write a checkpoint, whole or not at all.

    Args:
        model: the network; its text encoder is left out.
        path: where to; the folder must exist.
        info: hash and config are worked out, all else is taken from it.
        half: store matrices and kernels in float16. Otherwise all is stored as it is.
    Returns:
        What the file says of itself.
    """
    tensors = {name: _packed(tensor, half=half) for name, tensor in _own_state(model).items()}
    digest = tensor_files.write(
        path,
        _FORMAT,
        tensors,
        config_to_json(model.config),
        name=info.name,
        note=info.note,
        is_trained=json.dumps(info.is_trained),
        compat=info.compat,
        trained_for=json.dumps(info.trained_for),
    )
    return replace(info, sha256=digest, config=model.config)


def describe(name_or_path: str | Path) -> WeightsInfo:
    """Read what a checkpoint says of itself, without its weights and without checking its hash.

    Raises:
        WeightsError: as `load`.
    """
    path = find(name_or_path)
    return _info(path)


def outline(name_or_path: str | Path) -> tuple[UniVS, WeightsInfo]:
    """Build the network of a checkpoint without its values, to see what it can do: it takes no memory and no time.

    Its text encoder is there when `load` would attach one, but encodes nothing.

    Raises:
        WeightsError: as `load`, but for what only the values show.
    """
    path = find(name_or_path)
    info = _info(path)
    with torch.device("meta"):
        model = UniVS(_without_download(info.config))
    if text_path(path).is_file() or offline_text(info.config) is not None:
        model.text_encoder = _UnreadText(info.config.text_dim)
    return model.eval(), info


def verify(name_or_path: str | Path) -> WeightsInfo:
    """Check a checkpoint and what lies beside it: hash, config, names, shapes, finite values. Builds no network.

    Raises:
        WeightsError: as `load`, and for values that are not finite.
    """
    path = find(name_or_path)
    info, tensors = _checked(path)
    tensor_files.refuse_infinite(path, tensors)
    if text_path(path).is_file():
        _text_tower(path, info.config)
    load_classes(path)
    return info


def load_classes(name_or_path: str | Path) -> ClassVectors | None:
    """Read the class vectors that lie beside a checkpoint; None when there are none.

    Raises:
        WeightsError: as `load`.
    """
    path = find(name_or_path)
    if not classes_path(path).is_file():
        return None
    classes = read_classes(classes_path(path))
    expected = _info(path).config.text_dim
    if classes.vectors.shape[1] != expected:
        raise WeightsMismatchError(
            f"expected class vectors of {expected} numbers in {classes_path(path)}, got {classes.vectors.shape[1]}; "
            "take those that belong to this checkpoint"
        )
    return classes


def load_published(
    path: Path, variant: str | None = None, *, use_averages: bool = False
) -> tuple[UniVS, WeightsInfo, Conversion]:
    """Build a network from a published checkpoint (`{"model": state dict}`), read without executing code from it.

    What the checkpoint lacks gets seeded values, so that equal files give equal networks.

    Args:
        path: the published file.
        variant: `r50`, `swin_t`, `swin_b` or `swin_l`; None guesses it from the shapes.
        use_averages: take the running averages that checkpoints of the third training stage hold.
    Returns:
        The network, what to write into its own checkpoint, and the account of every tensor.
    Raises:
        WeightsNotFoundError: when there is no such file, or no such variant.
        WeightsMismatchError: for a checkpoint of another variant, or with tensors that are unknown, missing or not
            finite.
        WeightsError: for a file that cannot be read.
    """
    if variant is not None and variant not in _PUBLISHED:
        raise WeightsNotFoundError(f"expected one of the variants {', '.join(_PUBLISHED)}, got '{variant}'")
    tensors = read_tensors(path)
    variant = variant or guess_variant(tensors)
    with torch.device("meta"):
        expected = UniVS(_VARIANTS[variant]()).state_dict()
    conversion = convert_published(tensors, expected, use_averages=use_averages)
    model = _seeded(variant)
    model.load_state_dict(conversion.state, strict=False)
    note = f"published weights of {variant}; see their authors for terms of use"
    if use_averages:
        note += "; running averages"
    trained_for = tuple(PromptKind)
    if any(key.startswith("text_queries.") for key in conversion.missing):
        note += "; made without text prompts"
        trained_for = (PromptKind.VISUAL,)
    info = WeightsInfo(variant, "", True, note, model.config, trained_for, Compat.RELEASED)
    return model.eval(), info, conversion


def _read(path: Path, device: torch.device | str) -> tuple[UniVS, WeightsInfo]:
    info, tensors = _checked(path)
    model = UniVS(_without_download(info.config))
    expected = model.state_dict()
    model.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()})
    if text_path(path).is_file():
        tower = _text_tower(path, info.config)
        model.text_encoder = RememberedNames(tower, text_tower_hash(text_path(path)), names_folder(path))
    else:
        model.text_encoder = offline_text(info.config)
    return model.to(device).eval(), info


def _checked(path: Path) -> tuple[WeightsInfo, dict[str, Tensor]]:
    """Read a file whose hash, config, names and shapes are right."""
    info = _info(path)
    tensors = tensor_files.read_tensors(path, _FORMAT)
    with torch.device("meta"):
        expected = _own_state(UniVS(_without_download(info.config)))
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
    return info, tensors


def _text_tower(path: Path, config: UniVSConfig) -> TextEncoder:
    """Read the tower beside a checkpoint."""
    tower = read_text_tower(text_path(path))
    if tower.text_dim != config.text_dim:
        raise WeightsMismatchError(
            f"expected a text tower of {config.text_dim} numbers beside {path}, got {tower.text_dim} in "
            f"{text_path(path).name}; remove that file, or take the tower that the checkpoint was trained with"
        )
    return tower


def _random(name: str, device: torch.device | str) -> tuple[UniVS, WeightsInfo]:
    model = _seeded(name)
    model.text_encoder = offline_text(model.config)
    digest = tensor_files.content_hash(_own_state(model), config_to_json(model.config))
    return model.to(device).eval(), WeightsInfo(name, digest, False, _UNTRAINED, model.config)


def _seeded(name: str) -> UniVS:
    """Build a variant with random weights that are the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(name.encode()))
        return UniVS(_VARIANTS[name]())


class _UnreadText(nn.Module):
    """Stands for a text encoder that was not read."""

    def __init__(self, text_dim: int) -> None:
        super().__init__()
        self.text_dim = text_dim

    def encode(self, texts: list[str]) -> TextFeatures:
        raise AssertionError(f"the outline of a network reads no text, got {texts}")

    def encode_names(self, names: list[str]) -> Tensor:
        raise AssertionError(f"the outline of a network reads no names, got {names}")


def _own_state(model: UniVS) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("text_encoder.")}


def _packed(tensor: Tensor, *, half: bool) -> Tensor:
    """Store matrices and kernels in half the bytes on request; vectors keep their precision, they weigh nothing."""
    detached = tensor.detach().cpu().contiguous()
    return detached.half() if half and detached.is_floating_point() and detached.dim() >= 2 else detached.clone()


def _info(path: Path) -> WeightsInfo:
    metadata: Mapping[str, str] = tensor_files.read_metadata(path, _FORMAT)
    try:
        config = config_from_json(metadata["config"])
        return WeightsInfo(
            metadata["name"],
            metadata["sha256"],
            bool(json.loads(metadata["is_trained"])),
            metadata["note"],
            config,
            tuple(PromptKind(kind) for kind in json.loads(metadata.get("trained_for", _VISUAL_ONLY))),
            Compat(metadata.get("compat", _compat_before(config))),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsMismatchError(
            f"the description inside {path} does not fit this version of univs ({error}); "
            "use weights made for this version"
        ) from error


def _compat_before(config: UniVSConfig) -> Compat:
    """Say what files that do not name their semantics were made for: those of published networks were published."""
    return Compat.RELEASED if config.name in _PUBLISHED else Compat.PAPER


def _without_download(config: UniVSConfig) -> UniVSConfig:
    """Build without the backbone's ImageNet weights: the checkpoint replaces them."""
    if isinstance(config.backbone, EfficientNetLiteConfig):
        return replace(config, backbone=replace(config.backbone, pretrained=False))
    return config
