"""Annotation files in JSON, read with an error that names the file."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from univs.errors import InputError

# Annotation files are trees of lists and mappings whose leaves vary with the data set.
Json = dict[str, Any]


def read_json(path: Path, keys: tuple[str, ...]) -> Json:
    """Read a mapping.

    Raises:
        InputError: for a file that is missing, no JSON, or without one of the keys.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"expected the annotation {path}, got no such file; download it to there") from error
    except ValueError as error:
        raise InputError(f"expected {path} to be JSON, got {error}; download it again") from error
    if not isinstance(content, dict) or any(key not in content for key in keys):
        found = sorted(content)[:8] if isinstance(content, dict) else type(content).__name__
        raise InputError(f"expected {path} to hold {', '.join(keys)}, got {found}; is it another data set's file?")
    return content


@contextmanager
def understanding(path: Path) -> Iterator[None]:
    """Say which file a block makes sense of, when it holds something else than expected.

    Raises:
        InputError: in place of what a field that is missing or of another type raises.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"expected {path} in the data set's official format, got {type(error).__name__} {error}; download it again"
        ) from error


def first_existing(paths: tuple[Path, ...]) -> Path:
    """Give the first path that there is.

    Raises:
        InputError: when there is none, with all of them.
    """
    for path in paths:
        if path.exists():
            return path
    raise InputError(f"expected one of {', '.join(str(path) for path in paths)}, got none; unpack the data set there")
