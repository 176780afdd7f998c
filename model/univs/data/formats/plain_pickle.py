"""Pickles that hold nothing but containers, texts and numbers, read without running code.

A pickle is a program: it can name any function of any module and call it. Data sets were published as pickles all the
same; what they hold needs no names, so a pickle that uses one is refused.
"""

import pickle
from pathlib import Path
from typing import Any, NoReturn

from univs.errors import InputError

_LARGEST_BYTES = 1 << 30
# What the machine of pickle raises for programs that are cut short, or use what is not there.
_MALFORMED = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


class _PlainUnpickler(pickle.Unpickler):
    """Refuses every name, and with it every class and every call."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        """Refuse a name.

        Raises:
            UnpicklingError: always.
        """
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")

    def persistent_load(self, pid: object, /) -> NoReturn:
        """Refuse a reference to something outside.

        Raises:
            UnpicklingError: always.
        """
        raise pickle.UnpicklingError(f"it refers to {pid!r} outside of the file")


def read_plain_pickle(path: Path) -> Any:
    """Read lists, mappings, sets, texts, bytes and numbers; texts of Python 2 as UTF-8.

    The content is any of these, hence Any.

    Raises:
        InputError: for a file that is missing, too large, damaged, or wants to run code.
    """
    if not path.is_file():
        raise InputError(f"expected the pickle {path}, got no such file; download it to there")
    size = path.stat().st_size
    if size > _LARGEST_BYTES:
        raise InputError(f"expected a pickle of at most {_LARGEST_BYTES} bytes, got {size} in {path}")
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(file, encoding="utf-8", errors="replace").load()
    except _MALFORMED as error:
        raise InputError(
            f"expected {path} to hold containers, texts and numbers alone, got a pickle that does not: {error}; take "
            "the official file, which needs no code"
        ) from error
