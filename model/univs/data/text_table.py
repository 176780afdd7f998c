"""Category names as vectors of the text space, from stored tables."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from univs.data.naming import plain_name
from univs.data.sample import UNKNOWN_CATEGORY, Batch
from univs.errors import InputError


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Category vectors of the videos of a batch, padded to the same length."""

    vectors: Tensor  # [B, K, D]
    num_classes: tuple[int, ...]  # [B]
    category_ids: Tensor  # int64 [B, O], rows of `vectors`; UNKNOWN_CATEGORY where a name has no vector


class TextTable:
    """Vectors of names."""

    def __init__(self, vectors: Mapping[str, Tensor]) -> None:
        if not vectors:
            raise InputError("a text table needs at least one name, got none")
        self._vectors = {plain_name(name): vector.float() for name, vector in vectors.items()}
        self.text_dim = next(iter(self._vectors.values())).shape[0]

    @classmethod
    def read(cls, folder: Path) -> "TextTable":
        """Read the tables of LVIS and Objects365 names in a folder; later ones win where names repeat.

        Raises:
            InputError: when a file is missing, or its rows do not fit its names.
        """
        return cls(read_tables(folder))

    def find(self, name: str) -> Tensor | None:
        """Give the vector of a name, [D]; None for a name that no table holds."""
        return self._vectors.get(plain_name(name))

    def class_table(self, batch: Batch) -> ClassTable:
        """Give the category vectors of each video of a batch; names without a vector become unknown."""
        found = [[self.find(name) for name in vocabulary] for vocabulary in batch.vocabularies]
        tables = [[vector for vector in vectors if vector is not None] for vectors in found]
        longest = max(1, *(len(table) for table in tables))
        padded = torch.zeros(len(tables), longest, self.text_dim)
        category_ids = torch.full_like(batch.category_ids, UNKNOWN_CATEGORY)
        for video, (vectors, table) in enumerate(zip(found, tables, strict=True)):
            if table:
                padded[video, : len(table)] = torch.stack(table)
            row_of = {row: place for place, row in enumerate(row for row, v in enumerate(vectors) if v is not None)}
            for slot, row in enumerate(batch.category_ids[video].tolist()):
                category_ids[video, slot] = row_of.get(row, UNKNOWN_CATEGORY)
        return ClassTable(padded.to(batch.images.device), tuple(len(table) for table in tables), category_ids)


def read_tables(folder: Path) -> dict[str, Tensor]:
    """Read the vectors of LVIS and Objects365 names in a folder, by the names as they are stored, [D] each.

    Raises:
        InputError: when a file is missing, or its rows do not fit its names.
    """
    vectors: dict[str, Tensor] = {}
    for names, file_name in (
        (_lvis_names(folder / "lvis_names.json"), "lvis_v1_clip_a+cname.npy"),
        (_objects365_names(folder / "Objects365_names_fix.csv"), "o365_clip_a+cnamefix.npy"),
    ):
        path = folder / file_name
        if not path.is_file():
            raise InputError(f"expected the text embeddings {path}")
        rows = np.load(path)
        if len(rows) != len(names):
            raise InputError(f"{path} has {len(rows)} rows for {len(names)} names")
        vectors.update(zip(names, torch.from_numpy(rows.astype(np.float32)), strict=True))
    return vectors


def _lvis_names(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"expected the names of LVIS in {path}")
    content = json.loads(path.read_text(encoding="utf-8"))
    return [str(name) for name in content]


def _objects365_names(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"expected the names of Objects365 in {path}")
    with path.open(encoding="utf-8", newline="") as file:
        return [row[1] for row in csv.reader(file) if len(row) > 1]
