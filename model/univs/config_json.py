"""A config as text and back, for the description inside a checkpoint."""

import json
from dataclasses import MISSING, asdict, fields, is_dataclass
from enum import StrEnum
from typing import Any, get_args, get_type_hints

from univs.config import BackboneConfig, PromptingConfig, UniVSConfig

_BACKBONES = {kind.__name__: kind for kind in get_args(BackboneConfig)}


def config_to_json(config: UniVSConfig) -> str:
    """Write a config; equal configs give equal text."""
    described = described_network(config)
    described["backbone"] = {"kind": type(config.backbone).__name__, **described["backbone"]}
    return json.dumps(described, sort_keys=True)


def described_network(config: UniVSConfig) -> dict[str, Any]:
    """Give a config as nested dicts; what has its default is left out where older descriptions did not know it."""
    described = asdict(config)
    if config.prompting == PromptingConfig():
        del described["prompting"]
    return described


def config_from_json(text: str) -> UniVSConfig:
    """Read a config.

    Raises:
        ValueError: for text that is no config of this version (unknown or missing fields, values out of range).
    """
    described = json.loads(text)
    if not isinstance(described, dict) or not isinstance(described.get("backbone"), dict):
        raise ValueError("expected a JSON object with a backbone")
    backbone = dict(described["backbone"])
    kind = backbone.pop("kind", None)
    if kind not in _BACKBONES:
        raise ValueError(f"expected a backbone of kind {', '.join(_BACKBONES)}, got {kind}")
    config: UniVSConfig = _build(UniVSConfig, {**described, "backbone": _build(_BACKBONES[kind], backbone)})
    return config


def _build(kind: Any, values: Any) -> Any:  # Any: JSON in, one of several dataclasses out
    known = {field.name for field in fields(kind)}
    needed = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}
    if not needed <= set(values) <= known:  # a file may be older than a field that has a default
        raise ValueError(f"expected the fields {sorted(known)} for {kind.__name__}, got {sorted(values)}")
    hints = get_type_hints(kind)
    return kind(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:  # Any: as above
    if isinstance(value, list):
        return tuple(value)
    if is_dataclass(hint) and isinstance(value, dict):
        return _build(hint, value)
    choices = [kind for kind in (get_args(hint) or (hint,)) if isinstance(kind, type) and issubclass(kind, StrEnum)]
    return choices[0](value) if choices and isinstance(value, str) else value
