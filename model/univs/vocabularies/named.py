"""Vocabularies by name: the category lists that data sets publish."""

import json
from functools import cache
from importlib.resources import files

from univs.errors import InputError
from univs.vocabularies.spoken import spoken
from univs.vocabularies.vocabulary import Vocabulary


@cache
def available() -> tuple[str, ...]:
    """Name the vocabularies that there are, in alphabetical order."""
    entries = (entry.name for entry in files(__package__).iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in entries if name.endswith(".json")))


@cache
def load(name: str) -> Vocabulary:
    """Read a vocabulary by its name.

    Raises:
        InputError: for a name that is not `available`.
    """
    if name not in available():
        raise InputError(
            f"expected a vocabulary of {', '.join(available())}, got {name!r}; or give the names themselves"
        )
    content = json.loads(files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    rows = content["categories"]
    return Vocabulary(
        tuple(str(row["name"]) for row in rows),
        tuple(bool(row["is_thing"]) for row in rows),
        tuple(int(row["id"]) for row in rows),
        tuple(str(row.get("phrase") or spoken(row["name"])) for row in rows),
    )
