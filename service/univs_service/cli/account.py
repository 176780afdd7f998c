"""The table of a conversion: what became of every tensor of both sides."""

from collections import defaultdict
from collections.abc import Mapping

from rich.table import Table

from univs.convert import Conversion

_NUM_NAMED = 3


def account_table(title: str, conversion: Conversion) -> Table:
    """Count what was mapped by part of the network, and what was left out or is missing by its reason."""
    parts: dict[str, list[str]] = defaultdict(list)
    for key in conversion.sources:
        parts[key.split(".")[0]].append(key)

    table = Table("", "published", "ours", "numbers", "reason", title=title)
    for part, keys in parts.items():
        numbers = sum(conversion.state[key].numel() for key in keys)
        published = len({conversion.sources[key] for key in keys})
        table.add_row(f"mapped: {part}", str(published), str(len(keys)), f"{numbers:,}", "")
    table.add_section()
    for reason, names in _by_reason(conversion.not_needed).items():
        table.add_row(f"left out: {_some(names)}", str(len(names)), "", "", reason)
    for reason, names in _by_reason(conversion.missing).items():
        table.add_row(f"not in the file: {_some(names)}", "", str(len(names)), "", reason)
    return table


def _by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    for name, reason in sorted(reasons.items()):
        names[reason].append(name)
    return names


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NUM_NAMED]) + (" ..." if len(names) > _NUM_NAMED else "")
