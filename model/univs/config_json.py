"""A config as text and back, for the description inside a checkpoint."""

import json
from dataclasses import asdict, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from univs.config import BackboneConfig, UniVSConfig

_BACKBONES = {kind.__name__: kind for kind in get_args(BackboneConfig)}


def config_to_json(config: UniVSConfig) -> str:
    """Write a config; equal configs give equal text."""
    described = asdict(config)
    described["backbone"] = {"kind": type(config.backbone).__name__, **described["backbone"]}
    return json.dumps(described, sort_keys=True)


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
    if set(values) != known:
        raise ValueError(f"expected the fields {sorted(known)} for {kind.__name__}, got {sorted(values)}")
    hints = get_type_hints(kind)
    return kind(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:  # Any: as above
    if isinstance(value, list):
        return tuple(value)
    return _build(hint, value) if is_dataclass(hint) and isinstance(value, dict) else value
